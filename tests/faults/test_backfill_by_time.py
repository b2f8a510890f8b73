"""Following by a time that writers set: late ones, future ones, ties, none, and clusters that hide their numbers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attached_texts import PACE, WordEncoder, attach, check_filled, make_index, put, stored
from flaky_proxy import Exchange, flaky_proxy
from opensearchpy import OpenSearch

from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.indexing.backfill import By, Filler, status_of
from opensearch_multivector.indexing.backfill.by_time import PlaceStore
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Attachment, Mode
from opensearch_multivector.plugin.state import STATE_INDEX

pytestmark = pytest.mark.integration
MODES: list[Mode] = [IN_PLACE, SIDECAR]
NOW = datetime.now(UTC)


def at(seconds: float) -> str:
    """So many seconds from the beginning of the tests."""
    return (NOW + timedelta(seconds=seconds)).isoformat()


# Many with the very same time, some without any, one from the future.
DOCUMENTS: dict[str, dict[str, Any]] = {
    f"d{i}": {"text": f"one{i} two{i % 7}", "price": i, "at": at(-3600 + i // 40)} for i in range(100)
}
DOCUMENTS |= {f"n{i}": {"text": f"none{i}", "price": i} for i in range(30)}
DOCUMENTS |= {"future": {"text": "from tomorrow", "at": at(86_400)}, "blank": {"text": " ", "at": at(-60)}}


@pytest.fixture(params=["date", "date_nanos"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=MODES)
def attachment(request: pytest.FixtureRequest, kind: str, client: OpenSearch, index_name: str) -> Iterator[Attachment]:
    make_index(client, index_name)
    client.indices.put_mapping(index=index_name, body={"properties": {"at": {"type": kind}}})
    put(client, index_name, DOCUMENTS)
    made = attach(client, index_name, request.param)
    yield made
    if made.mode == SIDECAR:
        client.indices.delete(index=made.target, ignore_unavailable=True)


def follower(client: OpenSearch, index: str, encoder: WordEncoder, overlap: float = 600.0, **options: Any) -> Filler:
    by = By("at", overlap, options.pop("whole_every", 86_400.0))
    return Filler(client, index, encoder=encoder, term_encoder=encoder, pace=PACE, by=by, **options)


def test_what_is_written_is_found_by_its_time(client: OpenSearch, attachment: Attachment) -> None:
    index, documents = attachment.index, {doc_id: dict(body) for doc_id, body in DOCUMENTS.items()}
    encoder = WordEncoder()
    running = follower(client, index, encoder)
    assert running.round()
    check_filled(client, attachment, documents)
    first = encoder.encoded
    assert first == len(documents) - 1  # one is blank
    changes = {
        "new": {"text": "a new one", "at": at(1)},
        "d1": {"text": "written anew", "at": at(1)},
        "late": {"text": "five minutes late", "at": at(-300)},
        "ahead": {"text": "of a clock that is an hour ahead", "at": at(3600)},
    }
    put(client, index, changes)
    client.update(index=index, id="d2", body={"doc": {"price": 99, "at": at(1)}})
    client.delete(index=index, id="d3")
    documents |= changes
    documents["d2"] |= {"price": 99, "at": at(1)}
    del documents["d3"]
    assert status_of(client, index).pending >= 2
    assert running.round()
    check_filled(client, attachment, documents)
    # In place another price costs no encoding.
    assert encoder.encoded == first + 4 + (attachment.mode == SIDECAR)
    # The clock that is ahead hides nothing of the others'.
    put(client, index, {"next": {"text": "right after", "at": at(2)}})
    documents["next"] = {"text": "right after", "at": at(2)}
    assert running.round()
    check_filled(client, attachment, documents)
    status = status_of(client, index)
    assert (status.pending, status.missing, status.orphaned, status.failed) == (0, 0, 0, 0)
    assert status.followed_by == "at"
    # Another machine goes on from there.
    again = WordEncoder()
    assert follower(client, index, again).round()
    assert again.encoded == 0


@pytest.mark.parametrize("kind", ["date"], indirect=True)
def test_what_is_later_than_the_overlap_waits_for_the_whole_pass(client: OpenSearch, attachment: Attachment) -> None:
    index = attachment.index
    encoder = WordEncoder()
    assert follower(client, index, encoder).round()
    late = {"late": {"text": "two hours late", "at": at(-7200)}, "never": {"text": "without a time"}}
    put(client, index, late)
    assert follower(client, index, encoder, overlap=60.0).round()
    assert status_of(client, index).missing == 2
    assert follower(client, index, encoder, overlap=60.0, whole_every=0.0).round()
    check_filled(client, attachment, DOCUMENTS | late)


@pytest.mark.parametrize("kind", ["date"], indirect=True)
def test_a_first_pass_that_was_stopped_goes_on(client: OpenSearch, attachment: Attachment) -> None:
    stop = threading.Event()
    encoder = WordEncoder()
    running = follower(
        client,
        attachment.index,
        encoder,
        stop=stop,
        progress=lambda counts, _: stop.set() if counts["seen"] >= 100 else None,
    )
    assert not running.round()
    place = PlaceStore(client, attachment).read()
    assert place is not None
    assert (place.whole_at, place.until is None) == (None, False)
    again = WordEncoder()
    assert follower(client, attachment.index, again, overlap=1.0).round()
    assert again.encoded + encoder.encoded == len(DOCUMENTS) - 1
    check_filled(client, attachment, DOCUMENTS)


@pytest.mark.parametrize("kind", ["date"], indirect=True)
def test_where_the_shards_numbers_may_not_be_read(node_url: str, client: OpenSearch, attachment: Attachment) -> None:
    def refused(exchange: Exchange) -> None:
        exchange.refuse(403, "security_exception")

    hidden = ("_stats", "docs,indexing", "docs")
    with flaky_proxy(node_url, refused, hidden) as proxy, OpenSearch(proxy.url, timeout=60) as through:
        assert follower(through, attachment.index, WordEncoder()).round()
        check_filled(client, attachment, DOCUMENTS)
        assert status_of(through, attachment.index).missing == 0


@pytest.mark.parametrize("kind", ["date"], indirect=True)
def test_a_refused_document_is_named_until_it_is_mended(client: OpenSearch, attachment: Attachment) -> None:
    index = attachment.index
    body = f'{{"text": "half a \\ud800 pair", "at": "{at(1)}"}}'.encode()
    client.transport.perform_request("PUT", f"/{index}/_doc/bad", body=body, params={"refresh": "true"})
    running = follower(client, index, WordEncoder())
    for _ in range(2):
        assert running.round()
        status = status_of(client, index)
        assert (status.failed, [letter.doc_id for letter in status.letters]) == (1, ["bad"])
    put(client, index, {"bad": {"text": "mended", "at": at(2)}})
    assert running.round()
    assert status_of(client, index).failed == 0
    assert stored(client, attachment)["bad"].hash == attachment.content_hash("mended")


@pytest.mark.parametrize("kind", ["date"], indirect=True)
def test_a_place_that_was_altered(client: OpenSearch, attachment: Attachment) -> None:
    assert follower(client, attachment.index, WordEncoder()).round()
    key = f"follow-{attachment.index}-mv"
    kept = client.get(index=STATE_INDEX, id=key)["_source"]
    for damage in ({"until": "soon"}, {"letters": None}, {"whole_at": []}, {"more": 1}):
        client.index(index=STATE_INDEX, id=key, body=kept | damage)
        with pytest.raises(MismatchError, match=r"follower's place.*make it anew"):
            follower(client, attachment.index, WordEncoder()).round()
    client.delete(index=STATE_INDEX, id=key)
    again = WordEncoder()
    assert follower(client, attachment.index, again).round()
    assert again.encoded == 0


def test_only_a_date_will_do(client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name)
    attach(client, index_name, IN_PLACE)
    encoder = WordEncoder()
    for name, words in (("price", "is of type integer"), ("nothing", "is not in the mapping")):
        with pytest.raises(InputError, match=words):
            Filler(client, index_name, encoder=encoder, term_encoder=encoder, pace=replace(PACE), by=By(name))
