"""Searches through a bad network: each answers as without it, or says in a sentence why it does not."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from attached_index import AttachedIndex, make_attached, remove_attached
from bad_days import EVERY_KIND, KINDS, Storm
from fault_table import FaultRow
from flaky_proxy import flaky_proxy
from opensearchpy import OpenSearch
from same_hits import assert_same_ranking, ranking
from scale import LONG, SEED, scale
from small_index import EVERY_RERANK, make_query

from opensearch_multivector.errors import OsmvError
from opensearch_multivector.plugin.connection import connect, connect_async
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [pytest.mark.integration, pytest.mark.fault("proxy")]

REPEATED = scale(1, 3)
SHARE = 0.1
ANY = "any"
FATAL = [kind for kind in EVERY_KIND if kind != "latency"]
QUERIES = [make_query(seed) for seed in range(1, 5)]
# Every rerank, fusions by OpenSearch and here, and what reads more than a page.
OPTIONS = [
    *({"first_stage": "dense", "rerank": rerank} for rerank in (None, *EVERY_RERANK)),
    {"first_stage": "dense+slim", "rerank": "client"},
    {"first_stage": "0.3*dense+0.7*codes", "rerank": "bit:keep=20>client", "fusion": "client"},
    {"first_stage": "tokens", "explain": True},
    {"first_stage": "dense", "filter": {"term": {"group": "even"}}},
]
Found = list[list[tuple[str, float]]]


@dataclass(frozen=True)
class Operation:
    """A way to search; ``run`` is told where the cluster is."""

    name: str
    run: Callable[[str], Found]


def found(results: list[SearchResult]) -> Found:
    for result in results:
        assert (result.skipped, getattr(result, "degraded", ())) == ({}, ())
    return [ranking(result.hits) for result in results]


def in_turn(index: str, options: dict[str, object]) -> Callable[[str], Found]:
    def run(url: str) -> Found:
        with connect(url, timeout=1) as client:
            return found([Searcher(client, index).search(QUERIES[0], **options)])

    return run


def at_once(index: str, options: dict[str, object]) -> Callable[[str], Found]:
    def run(url: str) -> Found:
        with connect(url, timeout=1) as client:
            return found(Searcher(client, index).search_many(QUERIES, **options))

    return run


def without_waiting(index: str, options: dict[str, object]) -> Callable[[str], Found]:
    async def search(url: str) -> list[SearchResult]:
        async with connect_async(url, timeout=1) as client:
            searcher = await AsyncSearcher.open(client, index)
            return await searcher.search_many(QUERIES, **options)

    return lambda url: found(asyncio.run(search(url)))


@pytest.fixture(scope="module")
def attached(client: OpenSearch) -> Iterator[AttachedIndex]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield make_attached(client, name, shards=1)
    remove_attached(client, name)


@pytest.fixture(scope="module")
def operations(attached: AttachedIndex) -> list[Operation]:
    whole, beside = attached.whole.name, attached.name
    of_whole = [Operation(f"search {options}", in_turn(whole, options)) for options in OPTIONS]
    several = [{"first_stage": "dense", "rerank": "client"}, {"first_stage": "slim", "rerank": None}]
    return [
        *of_whole,
        *(Operation(f"search_many {options}", at_once(whole, options)) for options in several),
        *(Operation(f"async {options}", without_waiting(whole, options)) for options in several),
        *(Operation(f"sidecar {options}", in_turn(beside, options)) for options in several),
        Operation("sidecar search_many", at_once(beside, several[0])),
        Operation("sidecar async", without_waiting(beside, several[0])),
    ]


@pytest.fixture(scope="module")
def expected(operations: list[Operation], node_url: str) -> dict[str, Found]:
    return {operation.name: operation.run(node_url) for operation in operations}


@pytest.mark.parametrize("kind", EVERY_KIND if LONG else ["latency", ANY])
def test_right_or_refused(
    kind: str, operations: list[Operation], expected: dict[str, Found], node_url: str, fault_row: FaultRow
) -> None:
    storm = Storm(SEED, SHARE, tuple(KINDS) if kind == ANY else (kind,))
    right, refused = 0, []
    chosen = operations[::4] if kind in ("latency", "too_late") else operations
    with flaky_proxy(node_url, storm, watched=None) as proxy:
        for operation in chosen * REPEATED:
            try:
                answer = operation.run(proxy.url)
            except OsmvError as error:
                refused.append(str(error))
            else:
                right += 1
                for got, wanted in zip(answer, expected[operation.name], strict=True):
                    assert_same_ranking(got, wanted, f"{operation.name}, seed {SEED}")
    assert all(refused), refused
    assert not any("\n" in sentence for sentence in refused), refused
    fault_row.counts.update(
        {"searches right": right, "searches refused in a sentence": len(refused), "faults": storm.struck.total()}
    )
    if kind == "latency":
        assert not refused


@pytest.mark.parametrize("kind", FATAL if LONG else FATAL[SEED % 2 :: 2])
def test_refused_where_nothing_comes_through(
    kind: str, operations: list[Operation], node_url: str, attached: AttachedIndex, fault_row: FaultRow
) -> None:
    with flaky_proxy(node_url, Storm(SEED, 1.0, (kind,)), ("_search", "_msearch")) as proxy:
        for run in (in_turn, at_once, without_waiting) if LONG else (in_turn,):
            with pytest.raises(OsmvError, match=r"^[^\n]+$"):
                run(attached.whole.name, {"first_stage": "dense", "rerank": "client"})(proxy.url)
            fault_row.counts["searches refused in a sentence"] += 1
