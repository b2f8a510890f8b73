"""Searches are counted as they went, under labels that no query, filter or document can add to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from prometheus_client import CollectorRegistry
from small_index import EVERY_RERANK, SmallIndex, make_index, make_query

from opensearch_multivector import AsyncSearcher, Searcher
from opensearch_multivector.errors import (
    BlobError,
    BudgetError,
    BusyError,
    ClusterError,
    InputError,
    MismatchError,
    MissingDependencyError,
)
from opensearch_multivector.ops.metrics import names
from opensearch_multivector.ops.metrics.searching import SearchMetrics
from opensearch_multivector.plugin.connection import connect, connect_async
from opensearch_multivector.queries.breaker import Breaker
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.observer import Observers, Place
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.results import SearchResult

PLACE = Place("articles", "mv")
STAGES = ["bm25", "codes", "codes:nprobe=2", "dense", "fde", "slim", "tokens", "bm25+dense", "0.3*bm25 + 0.7*dense"]


class Counted:
    """A registry with its `SearchMetrics`."""

    def __init__(self, **options: Any) -> None:
        self.registry = CollectorRegistry()
        self.metrics = SearchMetrics(self.registry, **options)

    def value(self, name: str, **labels: str) -> float:
        """The sum over the series with these labels."""
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def series(self) -> int:
        return sum(not s.name.endswith("_created") for family in self.registry.collect() for s in family.samples)


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture(scope="module")
def small(client: OpenSearch) -> Iterator[SmallIndex]:
    name = "osmv-test-metrics-small"
    client.indices.delete(index=name, ignore_unavailable=True)
    yield make_index(client, name, count=60, shards=1)
    client.indices.delete(index=name, ignore_unavailable=True)


def result(**values: Any) -> SearchResult:
    timings = {"encode": 2.0, "first_stage": 5.0, "first_stage_took": 4.0, "rerank": 3.0, "total": 11.0}
    return SearchResult(**{"hits": [], "total": 9, "candidates": 7, "skipped": {}, "timings": timings} | values)


class TestLabels:
    def test_whatever_is_searched_for_series_are_bounded(self, counted: Counted) -> None:
        """Of a thousand queries, filters, indices and parameters, each another."""
        counted = Counted(places=3)
        for number in range(1_000):
            request = SearchRequest(
                f"query {number}",
                first_stage=STAGES[number % len(STAGES)].replace("nprobe=2", f"nprobe={2 + number % 50}"),
                size=number % 100,
                filter={"term": {"price": number}},
                routing=f"r{number}",
                time_budget=1 + number,
            )
            place = Place(f"index-{number}", f"field-{number % 7}")
            counted.metrics.watch(place, Breaker())
            rerank = (("client",), (), ("bit", "client"), ("native",))[number % 4]
            answer = result(
                rerank=rerank, skipped={f"d{number}": f"reason {number}"}, degraded=(f"rerank: broke {number}",)
            )
            counted.metrics.searched(place, request, answer)
            counted.metrics.failed(place, request, ValueError(f"of {number}"), 0.1)
        places, ways, buckets = 3 + 1, 8 * 4, len(names.SECONDS) + 3
        stages, labels = len(names.STAGES), len(names.DEGRADED) + len(names.SKIPPED) + len(names.FAILURES) + 3
        most = ways * (1 + buckets) + stages * buckets + 8 * (len(names.COUNTS) + 3) + labels + 4
        assert 100 < counted.series() <= places * most
        assert counted.value("osmv_searches_total", index=names.OTHER) == 997
        assert counted.value("osmv_searches_total") == 1_000

    def test_one_way_of_searching_makes_as_many_series_as_the_documentation_says(self) -> None:
        counted = Counted()
        for number in range(50):
            counted.metrics.searched(PLACE, SearchRequest(f"query {number}"), result(rerank=("client",)))
        assert 75 <= counted.series() <= 115

    def test_stages_go_by_name_and_fusions_are_one(self, counted: Counted) -> None:
        for expression in STAGES:
            counted.metrics.searched(PLACE, SearchRequest("any", first_stage=expression), result())
        assert counted.value("osmv_searches_total", first_stage="codes") == 2
        assert counted.value("osmv_searches_total", first_stage=names.FUSION) == 2
        assert counted.value("osmv_searches_total", rerank=names.NONE) == len(STAGES)

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (BusyError("full"), "busy"),
            (BudgetError("late"), "budget"),
            (ClusterError("gone"), "cluster"),
            (MismatchError("other"), "mismatch"),
            (InputError("bad"), "input"),
            (MissingDependencyError("extra"), "dependency"),
            (asyncio.CancelledError(), "cancelled"),
            (BlobError("cut"), "other"),
            (ValueError("a defect"), "other"),
        ],
        ids=lambda value: value if isinstance(value, str) else type(value).__name__,
    )
    def test_errors_go_by_kind(self, counted: Counted, error: BaseException, reason: str) -> None:
        counted.metrics.failed(PLACE, SearchRequest("any"), error, 0.5)
        assert reason in names.FAILURES
        assert counted.value("osmv_search_failures_total", reason=reason) == 1
        assert counted.value("osmv_search_failures_total") == 1


class TestValues:
    def test_of_a_result(self, counted: Counted) -> None:
        degraded = ("rerank: broke", "fetch: broke; again", "rerank: once more")
        answer = result(hedged=2, rerank=("bit", "client"), fetched_bytes=900, degraded=degraded)
        counted.metrics.searched(PLACE, SearchRequest("any"), answer)
        assert counted.value("osmv_searches_total", rerank=names.CHAIN, first_stage="dense") == 1
        assert counted.value("osmv_search_seconds_sum") == pytest.approx(0.011)
        assert counted.value("osmv_search_stage_seconds_sum", stage="first_stage") == pytest.approx(0.005)
        assert counted.value("osmv_search_stage_seconds_count", stage="first_stage_took") == 0
        assert counted.value("osmv_search_candidates_sum") == 7
        assert counted.value("osmv_search_empty_total") == 1
        assert counted.value("osmv_search_hedged_total") == 2
        assert counted.value("osmv_search_fetched_bytes_total") == 900
        assert counted.value("osmv_search_degraded_total", stage="rerank") == 1
        assert counted.value("osmv_search_degraded_total", stage="fetch") == 1

    def test_of_the_breaker(self, counted: Counted) -> None:
        now = [0.0]
        breakers = [Breaker(failures=1, open_for=5, clock=lambda: now[0]) for _ in range(2)]
        for breaker in breakers:
            counted.metrics.watch(PLACE, breaker)
        state = "osmv_search_breaker_state"
        assert counted.value(state, state="closed") == counted.value(state) == 1
        breakers[1].failed()
        assert counted.value(state, state="open") == counted.value(state) == 1
        now[0] = 6.0
        assert counted.value(state, state="half-open") == counted.value(state) == 1
        del breakers, breaker
        assert counted.value(state) == 0


@pytest.mark.integration
class TestOnTheNode:
    def test_each_search_is_counted_under_what_it_came_to(self, small: SmallIndex, counted: Counted) -> None:
        searcher = Searcher(small.client, small.name, observer=counted.metrics)
        for number, rerank in enumerate([None, *EVERY_RERANK, "auto"]):
            found = searcher.search(make_query(number), first_stage="dense", rerank=rerank, window_size=20)
            assert found.rerank == (() if rerank is None else found.rerank if rerank == "auto" else (rerank,))
            assert counted.value("osmv_searches_total", index=small.name, rerank=rerank or names.NONE) >= (
                rerank != "auto"
            )
        assert counted.value("osmv_searches_total") == len(EVERY_RERANK) + 2
        assert counted.value("osmv_searches_total", rerank="auto") == 0
        assert counted.value("osmv_search_seconds_count") == len(EVERY_RERANK) + 2
        assert counted.value("osmv_search_candidates_sum") == 20 * (len(EVERY_RERANK) + 2)
        assert counted.value("osmv_search_breaker_state", state="closed") == 1

    def test_bytes_are_those_of_the_blobs(self, small: SmallIndex, counted: Counted) -> None:
        searcher = Searcher(small.client, small.name, observer=counted.metrics)
        found = searcher.search(make_query(), rerank="client", size=20, window_size=20, source=False)
        vectors = sum(small.vectors[hit.doc_id].nbytes for hit in found.hits)
        assert vectors < found.fetched_bytes < vectors + 20 * 64
        assert counted.value("osmv_search_fetched_bytes_total") == found.fetched_bytes
        assert searcher.search(make_query(), rerank=None).fetched_bytes == 0

    def test_many_at_once_are_each_counted(self, small: SmallIndex, counted: Counted) -> None:
        searcher = Searcher(small.client, small.name, observer=counted.metrics)
        searcher.search_many([make_query(seed) for seed in range(20)], rerank="client")
        assert counted.value("osmv_searches_total") == 20
        with pytest.raises(MismatchError):
            searcher.search_many([EncodedQuery(pooled=np.ones(3, np.float32))] * 2, rerank=None)
        assert counted.value("osmv_search_failures_total", reason="mismatch") == 2

    def test_blobs_that_cannot_be_read_are_counted_by_kind(
        self, client: OpenSearch, index_name: str, counted: Counted
    ) -> None:
        small = make_index(client, index_name, count=12, shards=1)
        blob = small.body("d003")["mv.vectors"]
        client.index(index=index_name, id="d003", body=small.body("d003") | {"mv.vectors": blob[:40]})
        body = small.body("d004")
        del body["mv.vectors"]
        client.index(index=index_name, id="d004", body=body, params={"refresh": "true"})
        searcher = Searcher(client, index_name, observer=counted.metrics)
        assert set(searcher.search(make_query(), rerank="client").skipped) == {"d003", "d004"}
        assert counted.value("osmv_search_skipped_total", reason="unreadable") == 1
        assert counted.value("osmv_search_skipped_total", reason="no_vectors") == 1

    async def test_of_asyncio_too_with_the_time_for_their_turn(
        self, node_url: str, small: SmallIndex, counted: Counted
    ) -> None:
        client = connect_async(node_url)
        try:
            searcher = await AsyncSearcher.open(
                client, small.name, observer=counted.metrics, max_concurrent=1, max_waiting=2, rerank="client"
            )
            queries = [make_query(seed) for seed in range(5)]
            done = await asyncio.gather(*map(searcher.search, queries), return_exceptions=True)
            assert sum(isinstance(each, BusyError) for each in done) == 2
            found = [each for each in done if isinstance(each, SearchResult)]
            assert all(each.timings["wait"] + each.timings["first_stage"] <= each.timings["total"] for each in found)
            assert max(each.timings["wait"] for each in found) > min(each.timings["total"] for each in found) / 2
            assert counted.value("osmv_searches_total") == 3
            assert counted.value("osmv_search_stage_seconds_count", stage="wait") == 3
            assert counted.value("osmv_search_failures_total", reason="busy") == 2
            task = asyncio.create_task(searcher.search(queries[0]))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert counted.value("osmv_search_failures_total", reason="cancelled") == 1
        finally:
            await client.close()

    def test_a_cluster_that_is_gone_is_a_failure(self, small: SmallIndex, counted: Counted) -> None:
        searcher = Searcher(small.client, small.name, observer=counted.metrics)
        searcher.client = connect("http://127.0.0.1:9", timeout=1)
        with pytest.raises(ClusterError):
            searcher.search(make_query(), rerank="client", time_budget=2.0)
        assert counted.value("osmv_search_failures_total", index=small.name) == 1

    def test_an_observer_that_fails_fails_no_search(
        self, small: SmallIndex, counted: Counted, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken:
            def watch(self, *told: Any) -> None:
                raise RuntimeError("watch")

            searched = failed = watch

        searcher = Searcher(small.client, small.name, observer=Observers(Broken(), counted.metrics))
        assert searcher.search(make_query(), rerank="client").hits
        with pytest.raises(MismatchError):
            searcher.search(EncodedQuery(pooled=np.ones(3, np.float32)), rerank=None)
        assert counted.value("osmv_searches_total") == 1
        assert counted.value("osmv_search_failures_total", reason="mismatch") == 1
        assert len(caplog.records) == 3
