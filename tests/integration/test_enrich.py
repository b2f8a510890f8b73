"""Writers that enrich their documents themselves: followers find nothing left to encode."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from attached_texts import PACE, WordEncoder, attach, check_filled, filler, make_index, own_documents, stored
from opensearchpy import OpenSearch, helpers

from opensearch_multivector import Enricher
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.indexing.backfill import Filler, status_of
from opensearch_multivector.indexing.enrich import Stored
from opensearch_multivector.plugin.attachments import (
    IN_PLACE,
    SIDECAR,
    Attachment,
    Mode,
    remove_attachment,
    update_attachment,
)

pytestmark = pytest.mark.integration
MODES: list[Mode] = [IN_PLACE, SIDECAR]
DOCUMENTS: dict[str, dict[str, Any]] = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(40)}
DOCUMENTS |= {"none": {"price": 1}, "blank": {"text": " ", "price": 2}}


@pytest.fixture(params=MODES)
def attachment(request: pytest.FixtureRequest, client: OpenSearch, index_name: str) -> Iterator[Attachment]:
    make_index(client, index_name)
    made = attach(client, index_name, request.param)
    yield made
    if made.mode == SIDECAR:
        client.indices.delete(index=made.target, ignore_unavailable=True)


def enricher(client: OpenSearch, index: str, **options: Any) -> Enricher:
    encoder = WordEncoder()
    return Enricher(client, index, encoder=encoder, term_encoder=encoder, **options)


def encoded_by_a_follower(client: OpenSearch, index: str) -> int:
    encoder = WordEncoder()
    following = Filler(client, index, encoder=encoder, term_encoder=encoder, pace=PACE)
    assert following.backfill().refused == 0
    return encoder.encoded


def actions(documents: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """In both of the forms that opensearch-py takes."""
    return [
        {"_id": doc_id, **body} if i % 2 else {"_id": doc_id, "_op_type": "create", "_source": body}
        for i, (doc_id, body) in enumerate(documents.items())
    ]


def test_a_follower_has_nothing_to_encode(client: OpenSearch, attachment: Attachment) -> None:
    made = enricher(client, attachment.index)
    answers = list(made.bulk(actions(DOCUMENTS)))
    assert [answer for _, answer in answers if "_id" in next(iter(answer.values()))] == [a for _, a in answers]
    assert [next(iter(answer.values()))["_id"] for _, answer in answers] == list(DOCUMENTS)
    assert all(done for done, _ in answers)
    check_filled(client, attachment, DOCUMENTS)
    assert encoded_by_a_follower(client, attachment.index) == 0
    status = status_of(client, attachment.index, verify=True)
    assert (status.missing, status.stale, status.orphaned) == (0, 0, 0)


def test_what_writers_do_one_after_the_other(client: OpenSearch, attachment: Attachment) -> None:
    made = enricher(client, attachment.index, batch=3)
    list(made.bulk(actions(DOCUMENTS)))
    changes: list[dict[str, Any]] = [
        {"_id": "d1", "text": "written anew"},
        {"_id": "d2", "_op_type": "delete"},
        {"_id": "d3", "_op_type": "update", "doc": {"text": "updated in part"}},
        {"_id": "d4", "_op_type": "create", "text": "is there already"},
        {"_id": "d5", "price": 5},
        {"_id": "d6", "text": "half a \ud800 pair"},
    ]
    outcomes = [done for done, _ in made.bulk(changes[:-1])]
    assert outcomes == [True, True, True, False, True]
    documents = DOCUMENTS | {"d1": {"text": "written anew"}, "d5": {"price": 5}}
    documents["d3"] = {**documents["d3"], "text": "updated in part"}
    del documents["d2"]
    there = stored(client, attachment)
    assert ("d2" in there, there["d1"].hash) == (False, attachment.content_hash("written anew"))
    # What a partial update makes of a text is not known to its writer: the follower's.
    assert encoded_by_a_follower(client, attachment.index) == 1
    check_filled(client, attachment, documents)


def test_one_document_at_a_time_in_place(client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name)
    attachment = attach(client, index_name, IN_PLACE)
    made = enricher(client, index_name)
    first = made.enrich({"text": "first words", "price": 1})
    assert {"mv.vectors", "mv.hash", "mv.slim"} <= first.keys()
    client.index(index=index_name, id="a", body=first)
    # What was read, changed and written back loses what it had of the earlier text, in whatever form that is.
    second = made.enrich({**first, "text": "second", "mv": {"hash": "other"}})
    assert second["mv.hash"] == attachment.content_hash("second")
    assert "mv" not in second
    assert not any(key.startswith("mv") for key in made.enrich({**first, "text": None}))
    client.index(index=index_name, id="a", body=second)
    client.index(index=index_name, id="b", body=made.enrich({"text": "half a pair, \u00b5"}))
    helpers.bulk(client, made.enriched_actions([{"_index": index_name, "_id": "c", "text": "third"}]))
    # Of another index: as it is.
    other = {"_index": "another", "_id": "c", "text": "third"}
    assert list(made.enriched_actions([other])) == [other]
    documents = {"a": {"text": "second", "price": 1}, "b": {"text": "half a pair, \u00b5"}, "c": {"text": "third"}}
    check_filled(client, attachment, documents)
    assert encoded_by_a_follower(client, index_name) == 0
    with pytest.raises(InputError, match="in the documents"):
        made.write_sidecar([])


def test_what_cant_be_encoded_is_written_all_the_same(client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name)
    attach(client, index_name, IN_PLACE)
    made = enricher(client, index_name)
    assert made.enrich({"text": "half a \ud800 pair"}) == {"text": "half a \ud800 pair"}


def test_beside_after_the_writers_own_write(client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name)
    attachment = attach(client, index_name, SIDECAR)
    try:
        made = enricher(client, index_name)
        older = client.index(index=index_name, id="a", body={"text": "older", "price": 1}, params={"routing": "x"})
        newer = client.index(index=index_name, id="a", body={"text": "newer", "price": 2}, params={"routing": "x"})
        # Two writers, of whom the one that was first comes last.
        assert made.write_sidecar([Stored("a", newer["_seq_no"], {"text": "newer", "price": 2}, "x")]) == {"written": 1}
        assert made.write_sidecar([Stored("a", older["_seq_no"], {"text": "older", "price": 1}, "x")]) == {
            "conflicts": 1
        }
        check_filled(client, attachment, {"a": {"text": "newer", "price": 2}})
        assert encoded_by_a_follower(client, index_name) == 0
        gone = client.delete(index=index_name, id="a", params={"routing": "x"})
        assert made.write_sidecar([Stored("a", gone["_seq_no"], None, "x")]) == {"deleted": 1}
        assert made.write_sidecar([Stored("a", newer["_seq_no"], {"text": "newer"}, "x")]) == {"conflicts": 1}
        assert stored(client, attachment) == {}
        with pytest.raises(InputError, match="write_sidecar"):
            made.enrich({"text": "one"})
    finally:
        client.indices.delete(index=attachment.target)


def test_writers_in_many_threads_beside_a_follower(client: OpenSearch, attachment: Attachment) -> None:
    made = enricher(client, attachment.index, batch=5)
    parts = [dict(list(DOCUMENTS.items())[i::4]) for i in range(4)]
    errors: list[BaseException] = []

    def write(part: dict[str, dict[str, Any]]) -> None:
        try:
            list(made.bulk(actions(part)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    assert filler(client, attachment.index).backfill().refused == 0
    for thread in threads:
        thread.join()
    assert not errors
    filler(client, attachment.index).backfill()
    check_filled(client, attachment, DOCUMENTS)


def test_an_attachment_that_changed_is_noticed(client: OpenSearch, attachment: Attachment) -> None:
    index = attachment.index
    made = enricher(client, index, check_seconds=0.0)
    list(made.bulk([{"_id": "a", "text": "one"}]))
    update_attachment(client, index, "mv", made_at="2027-01-01")
    with pytest.raises(MismatchError, match="another Enricher"):
        list(made.bulk([{"_id": "b", "text": "two"}]))
    update_attachment(client, index, "mv", detaching=True)
    with pytest.raises(MismatchError, match="detached"):
        list(made.bulk([{"_id": "b", "text": "two"}]))
    remove_attachment(client, index, "mv")
    with pytest.raises(MismatchError, match="osmv attach"):
        list(made.bulk([{"_id": "b", "text": "two"}]))
    # In place nothing was written; beside it the index has the document, and the follower the work.
    assert own_documents(client, index).keys() == ({"a"} if attachment.mode == IN_PLACE else {"a", "b"})


def test_another_encoder_is_refused(client: OpenSearch, attachment: Attachment) -> None:
    encoder = WordEncoder()
    encoder.fingerprint = "words-2"
    with pytest.raises(MismatchError, match="has changed"):
        Enricher(client, attachment.index, encoder=encoder, term_encoder=WordEncoder())
