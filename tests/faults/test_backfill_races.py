"""Somebody writes between the reading of a document and the writing of its vectors, at just that moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from attached_texts import PACE, WordEncoder, attach, check_filled, filler, make_index, put, stored
from flaky_proxy import Exchange, Fault, flaky_proxy
from opensearchpy import OpenSearch
from scale import LONG, SEED

from opensearch_multivector.encoding.encoders.base import Encoded, Kind
from opensearch_multivector.errors import ClusterError, MismatchError
from opensearch_multivector.indexing.backfill import Filler, Pace, status_of
from opensearch_multivector.indexing.backfill.unit_store import UnitStore
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Attachment, Mode

pytestmark = pytest.mark.integration
MODES: list[Mode] = [IN_PLACE, SIDECAR]
DOCUMENTS = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(30)}


class Interrupted(WordEncoder):
    """Does something else while it encodes, the first time or after so many."""

    def __init__(self, meanwhile: Callable[[], object], after: int = 0) -> None:
        super().__init__()
        self._meanwhile = meanwhile
        self._left = after

    def encode(self, texts: Sequence[str], kind: Kind) -> list[Encoded]:
        self._left -= 1
        if self._left == -1:
            self._meanwhile()
        return super().encode(texts, kind)


@contextmanager
def attached(client: OpenSearch, name: str, mode: Mode) -> Iterator[Attachment]:
    make_index(client, name, shards=1)
    put(client, name, DOCUMENTS)
    attachment = attach(client, name, mode)
    try:
        yield attachment
    finally:
        if mode == SIDECAR:
            client.indices.delete(index=attachment.target, ignore_unavailable=True)


def interrupted(client: OpenSearch, name: str, meanwhile: Callable[[], object]) -> Filler:
    encoder = Interrupted(meanwhile)
    return Filler(client, name, encoder=encoder, term_encoder=encoder, pace=Pace(batch=64, page=64, patience=5))


def test_in_place_a_document_changed_meanwhile_gets_no_vectors_of_its_earlier_text(
    client: OpenSearch, index_name: str
) -> None:
    def users() -> None:
        client.update(index=index_name, id="d1", body={"doc": {"text": "other words"}})
        client.delete(index=index_name, id="d2")
        put(client, index_name, {"d3": {"text": "anew"}})

    with attached(client, index_name, IN_PLACE) as attachment:
        running = interrupted(client, index_name, users)
        assert running.round()
        summary = running.summary(finished=True)
        assert (summary.written, summary.conflicts, summary.gone) == (27, 2, 1)
        there = stored(client, attachment)
        assert (there["d1"].hash, there["d3"].vectors, "d2" in there) == (None, None, False)
        assert running.round()
        documents = DOCUMENTS | {"d1": {"text": "other words", "price": 1}, "d3": {"text": "anew"}}
        del documents["d2"]
        check_filled(client, attachment, documents)


def test_a_changed_text_changed_again_between_clearing_and_filling(
    node_url: str, client: OpenSearch, index_name: str
) -> None:
    with attached(client, index_name, IN_PLACE) as attachment:
        filler(client, index_name).backfill()
        client.update(index=index_name, id="d1", body={"doc": {"text": "second"}})

        def between(exchange: Exchange) -> None:
            exchange.forward()
            if exchange.number == 1:  # what was of the first text is gone now
                client.update(index=index_name, id="d1", body={"doc": {"text": "third"}})

        with flaky_proxy(node_url, between) as proxy, OpenSearch(proxy.url) as through:
            running = filler(through, index_name)
            assert running.round()
        assert proxy.watched == 2
        assert running.summary(finished=True).conflicts == 1
        assert stored(client, attachment)["d1"].hash is None
        filler(client, index_name).backfill()
        check_filled(client, attachment, DOCUMENTS | {"d1": {"text": "third", "price": 1}})


def test_beside_it_a_late_worker_does_not_overwrite_what_is_newer(client: OpenSearch, index_name: str) -> None:
    with attached(client, index_name, SIDECAR) as attachment:

        def users_and_another_worker() -> None:
            client.update(index=index_name, id="d1", body={"doc": {"text": "other words"}})
            client.update(index=index_name, id="d2", body={"script": "ctx._source.remove('text')"})
            client.delete(index=index_name, id="d3")
            assert filler(client, index_name, pace=PACE).round()

        encoder = Interrupted(users_and_another_worker, after=1)
        # Its lease is over before it has written, as if it had been asleep.
        asleep = Pace(batch=64, page=64, patience=5, lease_seconds=0.01)
        late = Filler(client, index_name, encoder=encoder, term_encoder=encoder, pace=asleep)
        assert late.round()
        for doc_id in ("d1", "d2", "d3"):
            client.update(index=index_name, id=doc_id, body={"doc": {"text": "read by the late one"}})
        assert late.round()
        assert late.summary(finished=True).written == len(DOCUMENTS)  # the second page was the other's in the end
        documents = DOCUMENTS | {"d1": {"text": "other words", "price": 1}, "d2": {"price": 2}}
        del documents["d3"]
        check_filled(client, attachment, documents)


def test_an_index_made_anew_in_its_midst_is_left_alone(client: OpenSearch, index_name: str) -> None:
    with attached(client, index_name, IN_PLACE):

        def made_anew() -> None:
            client.indices.delete(index=index_name)
            make_index(client, index_name, shards=1)
            put(client, index_name, {f"new{doc_id}": body for doc_id, body in DOCUMENTS.items()})
            client.indices.refresh(index=index_name)

        encoder = Interrupted(made_anew)
        running = Filler(client, index_name, encoder=encoder, term_encoder=encoder, pace=Pace(batch=10, page=10))
        with pytest.raises(MismatchError, match="made anew"):
            running.round()
        assert "mv" not in client.indices.get_mapping(index=index_name)[index_name]["mappings"]["properties"]


def test_a_lease_is_held_while_its_worker_is_at_a_slow_batch(client: OpenSearch, index_name: str) -> None:
    with attached(client, index_name, IN_PLACE) as attachment:
        store = UnitStore(client, attachment, "test")
        until: list[float] = []

        def renewed_meanwhile() -> None:
            deadline = time.monotonic() + 30
            while len(set(until)) < 3:
                assert time.monotonic() < deadline
                work = store.read(0)
                until.extend(lease.until for lease in (work.leases if work else ()))
                time.sleep(0.1)

        encoder = Interrupted(renewed_meanwhile)
        pace = Pace(batch=64, page=64, patience=5, lease_seconds=3.0)
        assert Filler(client, index_name, encoder=encoder, term_encoder=encoder, pace=pace).round()
        assert until == sorted(until)
        check_filled(client, attachment, DOCUMENTS)


def too_busy(exchange: Exchange) -> None:
    if exchange.number % 3:
        exchange.forward()
    else:
        exchange.refuse(429, "rejected_execution_exception")


def out_of_reach(exchange: Exchange) -> None:
    if exchange.number % 3:
        exchange.forward()
    else:
        exchange.refuse(503, "no_shard_available_action_exception")


def answers_lost(exchange: Exchange) -> None:
    if exchange.number % 3 == 0:
        exchange.upstream(exchange.body)
        exchange.drop()
    else:
        exchange.forward()


BAD_DAYS = [(mode, fault) for mode in MODES for fault in (too_busy, out_of_reach, answers_lost)]


@pytest.mark.fault("proxy")
@pytest.mark.parametrize(
    ("mode", "fault"),
    BAD_DAYS if LONG else [BAD_DAYS[SEED % len(BAD_DAYS)]],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_bad_day_of_the_cluster(mode: Mode, fault: Fault, node_url: str, client: OpenSearch, index_name: str) -> None:
    with attached(client, index_name, mode) as attachment:
        watched = ("_bulk", "_search", "_mget", "_refresh", "_stats", f"backfill-{index_name}-mv-0")
        with flaky_proxy(node_url, fault, watched) as proxy, OpenSearch(proxy.url, max_retries=0) as through:
            running = filler(through, index_name)
            assert running.backfill().refused == 0
            assert running.round()
        assert proxy.watched > 12
        check_filled(client, attachment, DOCUMENTS)
        status = status_of(client, index_name, verify=True)
        assert (status.stale, status.missing, status.orphaned, status.failed) == (0, 0, 0, 0)


@pytest.mark.fault("blocks")
@pytest.mark.parametrize("block", ["write", "read_only_allow_delete"])
@pytest.mark.parametrize("mode", MODES)
def test_a_block_stops_it_with_a_clear_word_and_it_goes_on_later(
    mode: Mode, block: str, client: OpenSearch, index_name: str
) -> None:
    with attached(client, index_name, mode) as attachment:
        settings = {f"index.blocks.{block}": True}
        client.indices.put_settings(index=attachment.target, body=settings)
        with pytest.raises(ClusterError, match="block"):
            filler(client, index_name, pace=Pace(patience=1)).backfill()
        assert status_of(client, index_name).workers == ()
        client.indices.put_settings(index=attachment.target, body={f"index.blocks.{block}": None})
        filler(client, index_name).backfill()
        check_filled(client, attachment, DOCUMENTS)


@pytest.mark.fault("blocks")
def test_what_is_wrong_with_every_document_stops_it(client: OpenSearch, index_name: str) -> None:
    with attached(client, index_name, SIDECAR) as attachment:
        pipeline = {"index.final_pipeline": "that-was-deleted"}
        client.indices.put_settings(index=attachment.target, body=pipeline)
        with pytest.raises(ClusterError, match="refuses one document after the other"):
            filler(client, index_name, pace=Pace()).backfill()
        assert status_of(client, index_name).failed == 0
        client.indices.put_settings(index=attachment.target, body=dict.fromkeys(pipeline))
        filler(client, index_name).backfill()
        check_filled(client, attachment, DOCUMENTS)


@pytest.mark.fault("blocks")
def test_a_sidecar_that_was_deleted_is_not_made_by_the_way(client: OpenSearch, index_name: str) -> None:
    with attached(client, index_name, SIDECAR) as attachment:
        running = filler(client, index_name)
        client.indices.delete(index=attachment.target)
        with pytest.raises((ClusterError, MismatchError)):
            running.round()
        assert not client.indices.exists(index=attachment.target)
