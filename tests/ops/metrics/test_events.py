"""Search events: written in the background, sampled, without what was searched for, dropped rather than waited for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from prometheus_client import CollectorRegistry
from small_index import SmallIndex, make_index, make_query

from opensearch_multivector import Searcher
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.ops.metrics.events import EVENTS, SearchEvents
from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.observer import Place
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.results import SearchResult

PLACE = Place("articles", "mv")
SECRET = "nobody's concern"
RESULT = SearchResult([], 9, 7, {"d1": "cut"}, {"first_stage": 5.0, "total": 11.0}, ("rerank: broke",))


def events(client: OpenSearch, index: str = EVENTS) -> list[dict[str, Any]]:
    client.indices.refresh(index=f"{EVENTS}-*")
    found = client.search(index=index, body={"size": 1_000, "sort": ["@timestamp"]})["hits"]["hits"]
    return [hit["_source"] for hit in found]


@pytest.fixture
def cleared(client: OpenSearch) -> Iterator[None]:
    def clear() -> None:
        client.indices.delete(index=f"{EVENTS}-*")
        client.indices.delete_index_template(name=EVENTS, ignore=404)

    clear()
    yield
    clear()


@pytest.fixture(scope="module")
def small(client: OpenSearch) -> Iterator[SmallIndex]:
    name = "osmv-test-events-small"
    client.indices.delete(index=name, ignore_unavailable=True)
    yield make_index(client, name, count=30, shards=1)
    client.indices.delete(index=name, ignore_unavailable=True)


@pytest.mark.integration
@pytest.mark.usefixtures("cleared")
class TestOnTheNode:
    def test_each_search_becomes_a_document_that_the_mapping_knows(self, client: OpenSearch, small: SmallIndex) -> None:
        with SearchEvents(client, 1.0, every=0.2) as writing:
            searcher = Searcher(client, small.name, observer=writing)
            query = EncodedQuery(SECRET, make_query().vectors, make_query().pooled)
            searcher.search(query, rerank="client", filter={"term": {"group": "even"}}, size=5)
            searcher.search_many([query] * 3, rerank=None)
            with pytest.raises(MismatchError):
                searcher.search(EncodedQuery(SECRET, pooled=np.ones(3, np.float32)), rerank=None)
        assert (writing.written, writing.dropped) == (5, 0)
        first, *others = found = events(client)
        assert [each["outcome"] for each in others] == ["whole"] * 3 + ["failed"]
        assert (first["index"], first["field"], first["first_stage"], first["rerank"]) == (
            small.name,
            "mv",
            "dense",
            "client",
        )
        assert (first["filtered"], first["size"], first["hits"], first["weight"]) == (True, 5, 5, 1.0)
        assert {"encode", "first_stage", "rerank", "total"} <= first["seconds"].keys()
        assert 0 < first["seconds"]["first_stage"] < first["seconds"]["total"] < 60
        assert others[-1]["reason"] == "mismatch"
        assert SECRET not in json.dumps(found)
        assert '"even"' not in json.dumps(found)
        (mapping,) = client.indices.get_mapping(index=f"{EVENTS}-*").values()
        known = mapping["mappings"]["properties"]
        for event in found:
            assert event.keys() <= known.keys()
            assert event["seconds"].keys() <= known["seconds"]["properties"].keys()

    def test_the_text_is_there_where_it_was_asked_for(self, client: OpenSearch) -> None:
        with SearchEvents(client, 1.0, text=True) as writing:
            writing.searched(PLACE, SearchRequest(SECRET), RESULT)
            writing.failed(PLACE, SearchRequest(EncodedQuery(SECRET)), ValueError(), 0.5)
        assert [event["text"] for event in events(client)] == [SECRET, SECRET]
        assert [event["outcome"] for event in events(client)] == ["degraded", "failed"]

    def test_the_sample_is_a_share_and_weights_make_up_for_it(self, client: OpenSearch) -> None:
        with SearchEvents(client, 0.25, waiting=5_000) as writing:
            for _ in range(2_000):
                writing.searched(PLACE, SearchRequest("any"), RESULT)
        assert 380 < writing.written < 620  # six standard deviations
        client.indices.refresh(index=EVENTS)
        total = client.search(index=EVENTS, body={"size": 0, "aggs": {"n": {"sum": {"field": "weight"}}}})
        assert total["aggregations"]["n"]["value"] == writing.written * 4

    def test_months_are_indices_and_old_ones_go(self, client: OpenSearch) -> None:
        for name in (f"{EVENTS}-2025.12", f"{EVENTS}-2026.01", f"{EVENTS}-2026.02", f"{EVENTS}-kept"):
            client.indices.create(index=name)
        now = datetime(2026, 3, 2, tzinfo=UTC)
        with SearchEvents(client, 1.0, days=30, clock=lambda: now) as writing:
            writing.searched(PLACE, SearchRequest("any"), RESULT)
        there = {name.removeprefix(f"{EVENTS}-") for name in client.indices.get(index=f"{EVENTS}-*")}
        # January ended 30 days before, which is not longer ago.
        assert there == {"2026.01", "2026.02", "2026.03", "kept"}
        with SearchEvents(client, 1.0, days=29, clock=lambda: now) as writing:
            writing.searched(PLACE, SearchRequest("any"), RESULT)
        assert f"{EVENTS}-2026.01" not in client.indices.get(index=f"{EVENTS}-*")

    def test_what_the_cluster_refuses_is_counted(self, client: OpenSearch) -> None:
        registry = CollectorRegistry()
        month = f"{EVENTS}-{datetime.now(UTC):%Y.%m}"
        client.indices.create(index=month, body={"mappings": {"dynamic": "strict"}})
        with SearchEvents(client, 1.0, registry=registry) as writing:
            writing.searched(PLACE, SearchRequest("any"), RESULT)
        # The template came after the index.
        assert (writing.written, writing.dropped) == (0, 1)
        assert registry.get_sample_value("osmv_events_dropped_total", {"reason": "refused"}) == 1


class TestWithoutACluster:
    def test_no_search_waits_and_what_is_too_much_is_dropped(self) -> None:
        registry = CollectorRegistry()
        writing = SearchEvents(connect("http://127.0.0.1:9", timeout=1), 1.0, waiting=50, every=0.1, registry=registry)
        began = time.monotonic()
        threads = [
            threading.Thread(
                target=lambda: [writing.searched(PLACE, SearchRequest("any"), RESULT) for _ in range(2_000)]
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 20
        writing.close(30)
        assert (writing.written, writing.dropped) == (0, 8_000)
        full = registry.get_sample_value("osmv_events_dropped_total", {"reason": "full"})
        refused = registry.get_sample_value("osmv_events_dropped_total", {"reason": "refused"})
        assert full is not None
        assert refused is not None
        assert full + refused == 8_000
        writing.searched(PLACE, SearchRequest("any"), RESULT)
        assert registry.get_sample_value("osmv_events_dropped_total", {"reason": "closed"}) == 1

    @pytest.mark.parametrize("options", [{"sample": 0}, {"sample": 1.5}, {"days": -1}, {"waiting": 0}])
    def test_options_that_make_no_sense(self, options: dict[str, Any]) -> None:
        with pytest.raises(InputError):
            SearchEvents(connect("http://127.0.0.1:9"), **options)
