"""An attached field is filled, and filled again after what others do to the documents: in place and beside them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from attached_texts import PACE, attach, check_filled, filler, make_index, own_documents, put, stored
from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError, MismatchError
from opensearch_multivector.indexing.backfill import status_of
from opensearch_multivector.indexing.backfill.horizons import read_horizons
from opensearch_multivector.indexing.backfill.unit_store import UnitStore
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Attachment, Mode, update_attachment

pytestmark = pytest.mark.integration
MODES: list[Mode] = [IN_PLACE, SIDECAR]
COUNT = 230


def texts(count: int = COUNT) -> dict[str, dict[str, Any]]:
    documents: dict[str, dict[str, Any]] = {
        f"d{i}": {"text": f"one{i} two{i % 7} three", "price": i} for i in range(count)
    }
    return documents | {"none": {"price": 1}, "blank": {"text": "  ", "price": 2}}


@pytest.fixture(params=MODES)
def attachment(request: pytest.FixtureRequest, client: OpenSearch, index_name: str) -> Any:
    make_index(client, index_name)
    put(client, index_name, texts())
    made = attach(client, index_name, request.param)
    yield made
    if made.mode == SIDECAR:
        client.indices.delete(index=made.target, ignore_unavailable=True)


def test_everything_is_filled_once(client: OpenSearch, attachment: Attachment) -> None:
    # A document without a text is left alone in place, and stands in a sidecar without vectors.
    filled = COUNT + 1 + (attachment.mode == SIDECAR)
    before = status_of(client, attachment.index)
    assert (before.missing, before.covered) == (filled, 0)
    summary = filler(client, attachment.index).backfill()
    check_filled(client, attachment, texts())
    assert (summary.written, summary.conflicts, summary.refused, summary.interrupted) == (filled, 0, 0, False)
    again = filler(client, attachment.index)
    summary = again.backfill()
    assert (summary.written, summary.refused) == (0, 0)
    for verified in (False, True):
        status = status_of(client, attachment.index, verify=verified)
        assert (status.documents, status.covered, status.missing, status.failed) == (COUNT + 2, filled, 0, 0)
        assert (status.stale, status.orphaned, status.pending) == ((0, 0, 0) if verified else (None, 0, 0))


def test_what_others_do_is_followed(client: OpenSearch, attachment: Attachment) -> None:
    index, documents = attachment.index, texts()
    follower = filler(client, index)
    follower.backfill()
    # Each in the way that applications do it.
    client.update(index=index, id="d1", body={"doc": {"text": "changed by an update"}})
    put(client, index, {"d2": {"text": "written anew"}, "new": {"text": "a new one"}})
    client.update(index=index, id="d3", body={"doc": {"price": 99}})
    client.delete(index=index, id="d4")
    client.update(index=index, id="d5", body={"script": "ctx._source.remove('text')"})
    client.update(index=index, id="d6", body={"doc": {"text": " "}})
    client.update_by_query(index=index, body={"query": {"match": {"text": "one7"}}, "script": "ctx._source.price = 7"})
    client.delete(index=index, id="d8")
    put(client, index, {"d8": {"text": "deleted and there again"}})
    documents["d1"]["text"] = "changed by an update"
    documents |= {"d2": {"text": "written anew"}, "new": {"text": "a new one"}}
    documents["d3"]["price"] = 99
    del documents["d4"], documents["d5"]["text"]
    documents["d6"]["text"] = " "
    documents["d7"]["price"] = 7
    documents["d8"] = {"text": "deleted and there again"}
    before = status_of(client, index, verify=True)
    assert before.pending > 0
    # In place the words of d1 and d6 have changed under their vectors, and d5 has vectors of a text that is gone; in a
    # sidecar any write makes a document older than its original.
    if attachment.mode == IN_PLACE:
        assert (before.stale, before.missing, before.orphaned) == (3, 3, 0)
    else:
        assert (before.missing, before.orphaned) == (1, 1)
        assert before.stale == 7
    assert follower.round()
    check_filled(client, attachment, documents)
    after = status_of(client, index, verify=True)
    assert (after.stale, after.missing, after.orphaned) == (0, 0, 0)
    assert after.covered == len(documents) - 2 * (attachment.mode == IN_PLACE)


def test_filters_and_routing_go_with_a_document(client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name, shards=3)
    put(client, index_name, texts(20), routing="one")
    # The same id under another routing is another document, where it lies in another shard.
    attachment = attach(client, index_name, SIDECAR)
    try:
        filler(client, index_name).backfill()
        check_filled(client, attachment, texts(20))
        body = {"query": {"range": {"price": {"gte": 5, "lt": 8}}}, "sort": ["price"]}
        hits = client.search(index=attachment.target, body=body)["hits"]["hits"]
        assert [(hit["_id"], hit["_routing"]) for hit in hits] == [(f"d{i}", "one") for i in (5, 6, 7)]
        client.delete(index=index_name, id="d5", params={"routing": "one"})
        assert filler(client, index_name).backfill().orphans == 1
    finally:
        client.indices.delete(index=attachment.target)


def test_a_document_that_is_refused_is_told_of_and_tried_again(client: OpenSearch, attachment: Attachment) -> None:
    client.transport.perform_request(
        "PUT", f"/{attachment.index}/_doc/bad", body=b'{"text": "half a \\ud800 pair"}', params={"refresh": "true"}
    )
    assert filler(client, attachment.index).backfill().refused == 1
    status = status_of(client, attachment.index)
    assert status.failed == 1
    assert [(letter.doc_id, "surrogate" in letter.reason) for letter in status.letters] == [("bad", True)]
    again = filler(client, attachment.index)
    assert again.retry_failed() == 1
    assert again.backfill().refused == 1
    put(client, attachment.index, {"bad": {"text": "mended"}})
    again = filler(client, attachment.index)
    assert again.retry_failed() == 1
    assert again.backfill().refused == 0
    assert status_of(client, attachment.index).failed == 0
    check_filled(client, attachment, texts() | {"bad": {"text": "mended"}})


def test_paused_and_detaching_fields_are_left_alone(client: OpenSearch, attachment: Attachment) -> None:
    index = attachment.index
    update_attachment(client, index, "mv", paused=True)
    assert filler(client, index).backfill().interrupted
    assert all(each.hash is None for each in stored(client, attachment).values())
    update_attachment(client, index, "mv", paused=False)
    running = filler(client, index, progress=lambda *_: update_attachment(client, index, "mv", paused=True) and None)
    summary = running.backfill()
    assert summary.interrupted
    assert 0 < summary.written < COUNT
    assert status_of(client, index).workers == ()
    update_attachment(client, index, "mv", paused=False, detaching=True)
    with pytest.raises(MismatchError, match="detached"):
        filler(client, index).backfill()
    update_attachment(client, index, "mv", detaching=False)
    filler(client, index).backfill()
    check_filled(client, attachment, texts())


def test_an_index_made_anew_is_not_filled(client: OpenSearch, attachment: Attachment) -> None:
    index = attachment.index
    running = filler(client, index)
    client.indices.delete(index=index)
    with pytest.raises(ClusterError, match="index"):
        running.round()
    make_index(client, index)
    put(client, index, texts(5))
    for attempt in (running, filler(client, index) if attachment.mode == SIDECAR else running):
        with pytest.raises(MismatchError, match="made anew"):
            attempt.round()
    assert own_documents(client, index) == texts(5)
    assert "mv" not in client.indices.get_mapping(index=index)[index]["mappings"]["properties"]


def test_stopped_and_taken_up_by_others(client: OpenSearch, attachment: Attachment) -> None:
    stop = threading.Event()
    first = filler(client, attachment.index, stop=stop, progress=lambda *_: stop.set())
    assert first.backfill().interrupted
    written = first.summary(finished=False).written
    assert 0 < written < COUNT
    summary = filler(client, attachment.index, workers=3).backfill()
    assert summary.written == COUNT + 1 + (attachment.mode == SIDECAR) - written
    check_filled(client, attachment, texts())


def test_the_throttle_holds(client: OpenSearch, attachment: Attachment) -> None:
    stop = threading.Event()
    slow = filler(client, attachment.index, stop=stop, pace=replace(PACE, rate=20))
    timer = threading.Timer(3, stop.set)
    timer.start()
    assert slow.backfill().interrupted
    timer.join()
    written = sum(each.hash is not None for each in stored(client, attachment).values())
    # A batch of 16 goes at once, and then 20 a second.
    assert 16 <= written <= 16 + 3 * 20 + 16


def test_sequence_numbers_that_began_anew(client: OpenSearch, attachment: Attachment) -> None:
    filler(client, attachment.index).backfill()
    # As a restored snapshot or a stale copy made primary by force would have it: the numbers are of another history.
    store = UnitStore(client, attachment, "test")
    for horizon in read_horizons(client, attachment):
        store.see(replace(horizon, history="before it was restored", seq_no=10**6))
    again = filler(client, attachment.index)
    if attachment.mode == SIDECAR:
        with pytest.raises(MismatchError, match="restored or allocated by force"):
            again.backfill()
        return
    client.update(index=attachment.index, id="d1", body={"doc": {"text": "changed since"}})
    summary = again.backfill()
    # Every document was looked at again, and the changed one a second time after it was written.
    assert (summary.seen, summary.written) == (COUNT + 2 + 1, 1)
    check_filled(client, attachment, texts() | {"d1": {"text": "changed since", "price": 1}})
