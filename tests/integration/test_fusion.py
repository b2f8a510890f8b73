"""Fusion inside OpenSearch and here: the same numbers from the same rankings, in fewer requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from node_under_test import needs_painless
from opensearchpy import OpenSearch, Transport
from same_hits import assert_all_same, assert_same_hits, assert_same_ranking, ranking
from small_index import SmallIndex, make_index, make_query

from opensearch_multivector.errors import ClusterError, InputError
from opensearch_multivector.plugin.connection import connect_async
from opensearch_multivector.plugin.engine import ask_engine, ask_engine_async
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages import FIRST_STAGES, parse_first_stages
from opensearch_multivector.queries.first_stages.hybrid import why_not_hybrid
from opensearch_multivector.queries.fusion import fuse
from opensearch_multivector.queries.results import Hit
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

QUERY = make_query()
# `seismic` has an index of its own: OpenSearch lets no index have both k-NN and `sparse_vector` fields.
OTHERS = [name for name in FIRST_STAGES if name not in ("bm25", "seismic")]
FUSIONS = [
    *(f"bm25+{name}" for name in OTHERS),
    *(f"0.3*bm25+0.7*{name}" for name in OTHERS),
    "bm25+dense+slim",
    "2*bm25+1*dense+0.25*slim",
]
BY_RANKS = [fusion for fusion in FUSIONS if "*" not in fusion]
IN_ENGINE = [fusion for fusion in FUSIONS if why_not_hybrid(parse_first_stages(fusion).stages) is None]
ONLY_HERE = [fusion for fusion in FUSIONS if fusion not in IN_ENGINE]


class Watched(Transport):
    """Counts the searches that go out, and does what a test wants between two of them."""

    searches: int
    after: Callable[[int], None]

    def perform_request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
        answer = super().perform_request(method, url, *args, **options)
        if url.endswith(("/_search", "/_msearch")):
            self.searches = getattr(self, "searches", 0) + 1
            getattr(self, "after", lambda number: None)(self.searches)
        return answer


@pytest.fixture
def watched(node_url: str) -> Iterator[OpenSearch]:
    with OpenSearch(node_url, transport_class=Watched, timeout=60) as opened:
        yield opened


def small_index(client: OpenSearch, shards: int) -> Iterator[SmallIndex]:
    name = f"osmv-test-fusion-{shards}"
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    yield make_index(client, name, shards=shards)
    client.indices.delete(index=name)


@pytest.fixture(scope="module")
def one_shard(client: OpenSearch) -> Iterator[SmallIndex]:
    yield from small_index(client, shards=1)


@pytest.fixture(scope="module")
def two_shards(client: OpenSearch) -> Iterator[SmallIndex]:
    yield from small_index(client, shards=2)


@pytest.fixture(scope="module")
def searcher(client: OpenSearch, one_shard: SmallIndex) -> Searcher:
    return Searcher(client, one_shard.name)


def as_single(hits: list[Hit]) -> list[tuple[str, float]]:
    """Ids and scores, as far as OpenSearch's single precision writes them."""
    return [(hit.doc_id, float(np.float32(hit.score))) for hit in hits]


def assert_same(engine: list[Hit], client: list[Hit]) -> None:
    """Equal scores in order, and equal documents but where several are level with the last: either may be cut off."""
    here, there = as_single(client), as_single(engine)
    assert [score for _, score in there] == [score for _, score in here]
    last = here[-1][1] if here else 0.0
    assert [hit for hit in there if hit[1] > last] == [hit for hit in here if hit[1] > last]


@pytest.mark.parametrize("fusion", IN_ENGINE)
def test_engine_and_client_give_the_same(fusion: str, searcher: Searcher) -> None:
    for seed in range(2):
        query = make_query(seed)
        for window, clause in ((60, None), (15, None), (15, {"term": {"group": "odd"}})):
            options = {"first_stage": fusion, "rerank": None, "size": window, "window_size": window, "filter": clause}
            engine = searcher.search(query, fusion="engine", **options)
            client = searcher.search(query, fusion="client", **options)
            assert client.hits
            assert_same(engine.hits, client.hits)
            assert [hit.source for hit in engine.hits] != [{}] * len(engine.hits)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_client_computes_the_formula(fusion: str, searcher: Searcher) -> None:
    first = parse_first_stages(fusion)
    rankings = [
        [
            (hit.doc_id, hit.score)
            for hit in searcher.search(QUERY, first_stage=name, rerank=None, size=40, window_size=40).hits
        ]
        for name in (stage.name for stage in first.stages)
    ]
    found = searcher.search(QUERY, first_stage=fusion, rerank=None, size=40, window_size=40, fusion="client").hits
    assert_same_ranking(ranking(found), fuse(rankings, first.weights)[:40])


@pytest.mark.parametrize("rerank", ["client", pytest.param("painless", marks=needs_painless), "client:keep=20>client"])
def test_reranks_follow_either_fusion(rerank: str, searcher: Searcher) -> None:
    for fusion in ("bm25+dense", "0.3*bm25+0.7*dense"):
        options = {"first_stage": fusion, "rerank": rerank, "size": 10, "window_size": 60, "explain": True}
        engine = searcher.search(QUERY, fusion="engine", **options).hits
        client = searcher.search(QUERY, fusion="client", **options).hits
        assert_same_ranking(as_single(engine), as_single(client))
        assert {hit.doc_id: hit.matches for hit in engine} == {hit.doc_id: hit.matches for hit in client}


@pytest.mark.parametrize(
    ("fusion", "rerank", "searches"),
    [
        ("engine", None, 1),
        ("engine", "client", 1),
        pytest.param("engine", "painless", 2, marks=needs_painless),
        ("engine", "client:keep=20>client", 2),
        ("client", None, 1),
        ("client", "client", 2),
        ("auto", "client", 1),
    ],
)
def test_searches_that_go_out(
    fusion: str, rerank: str | None, searches: int, watched: OpenSearch, one_shard: SmallIndex
) -> None:
    searcher = Searcher(watched, one_shard.name)
    searcher.search(QUERY, first_stage="bm25+dense", rerank=rerank, source=False, fusion=fusion)
    # "auto" has tried once whether the engine fuses for this user.
    assert watched.transport.searches == searches + (fusion == "auto")
    searcher.search(QUERY, first_stage="bm25+dense", rerank=rerank, source=False, fusion=fusion)
    assert watched.transport.searches == 2 * searches + (fusion == "auto")


async def test_sync_async_and_batch_give_the_same(client: OpenSearch, node_url: str, one_shard: SmallIndex) -> None:
    queries = [make_query(seed) for seed in range(6)]
    searcher = Searcher(client, one_shard.name)
    async with connect_async(node_url) as async_client:
        async_searcher = await AsyncSearcher.open(async_client, one_shard.name)
        for fusion in ("engine", "auto"):
            options = {"first_stage": "1*bm25+0.5*dense", "size": 10, "fusion": fusion}
            one_by_one = [searcher.search(query, **options).hits for query in queries]
            assert_all_same(searcher.search_many(queries, **options), one_by_one)
            assert_all_same(await async_searcher.search_many(queries, **options), one_by_one)


class TestAuto:
    """The engine fuses where that gives the client's result."""

    async def test_what_is_asked(
        self, client: OpenSearch, node_url: str, one_shard: SmallIndex, two_shards: SmallIndex
    ) -> None:
        both = f"{one_shard.name},{two_shards.name}"
        expected = {one_shard.name: True, two_shards.name: False, both: False}
        async with connect_async(node_url) as async_client:
            for index, fuses in expected.items():
                assert ask_engine(client, index).fuses is fuses
                assert (await ask_engine_async(async_client, index)).fuses is fuses

    @pytest.mark.parametrize("fusion", BY_RANKS)
    def test_over_two_shards_the_client_fuses(self, fusion: str, watched: OpenSearch, two_shards: SmallIndex) -> None:
        searcher = Searcher(watched, two_shards.name)
        options = {"first_stage": fusion, "size": 10, "window_size": 15}
        auto = searcher.search(QUERY, **options).hits
        searches = watched.transport.searches
        assert searches >= 3  # first stages, rerank, source
        assert_same_hits(auto, searcher.search(QUERY, fusion="client", **options).hits)
        assert watched.transport.searches == 2 * searches

    @pytest.mark.parametrize("fusion", [*ONLY_HERE, "bm25:min_score=0.1+dense"])
    def test_what_the_engine_can_not_fuse_is_fused_here(self, fusion: str, searcher: Searcher) -> None:
        auto = searcher.search(QUERY, first_stage=fusion).hits
        assert_same_hits(auto, searcher.search(QUERY, first_stage=fusion, fusion="client").hits)
        with pytest.raises(InputError, match="can't be fused with fusion 'engine'"):
            searcher.search(QUERY, first_stage=fusion, fusion="engine")

    def test_more_stages_than_the_engine_takes(self, searcher: Searcher) -> None:
        six = "+".join(["bm25", "dense", *(f"slim:min_score={number}" for number in (0, 0.1, 0.2, 0.3))])
        assert searcher.search(QUERY, first_stage=six).hits
        with pytest.raises(InputError, match="fuses up to 5 first stages, not 6"):
            searcher.search(QUERY, first_stage=six, fusion="engine")

    def test_more_clauses_than_the_engine_takes(self, watched: OpenSearch, one_shard: SmallIndex) -> None:
        """The limit of 1,024 is for the whole `hybrid`, so what each stage could ask alone may be too much together."""
        assert QUERY.terms is not None
        text = " ".join(f"word{number}" for number in range(1024))
        query = EncodedQuery(text=text, vectors=QUERY.vectors, pooled=QUERY.pooled, terms=QUERY.terms)
        searcher = Searcher(watched, one_shard.name)
        assert searcher.search(query, first_stage="bm25+slim", rerank=None, source=False).hits
        with pytest.raises(ClusterError, match="max_clause_count"):
            searcher.search(query, first_stage="bm25+slim", rerank=None, fusion="engine")

    def test_an_unknown_way(self, searcher: Searcher) -> None:
        with pytest.raises(InputError, match="unknown fusion 'somewhere': choose of auto, engine, client"):
            searcher.search(QUERY, fusion="somewhere")


class TestEdges:
    """What comes to a `hybrid` query in use."""

    @pytest.mark.parametrize("fusion", ["bm25+slim", "0.3*bm25+0.7*slim"])
    def test_a_stage_that_finds_nothing(self, fusion: str, searcher: Searcher) -> None:
        assert QUERY.terms is not None
        for text in ("nothing of that", QUERY.text):
            query = EncodedQuery(text=text, vectors=QUERY.vectors, pooled=QUERY.pooled, terms=QUERY.terms)
            both = [
                searcher.search(query, first_stage=fusion, rerank=None, fusion=way).hits for way in ("engine", "client")
            ]
            assert_same(*both)
            assert both[0]

    @pytest.mark.parametrize("fusion", BY_RANKS)
    def test_nothing_found_at_all(
        self, fusion: str, client: OpenSearch, one_shard: SmallIndex, two_shards: SmallIndex
    ) -> None:
        for small in (one_shard, two_shards):
            result = Searcher(client, small.name).search(
                QUERY, first_stage=fusion, filter={"term": {"group": "nobody"}}, fusion="auto"
            )
            assert (result.hits, result.total) == ([], 0)

    @pytest.mark.parametrize("fusion", [*IN_ENGINE[:2], *IN_ENGINE[-2:]])
    def test_through_an_alias_with_a_filter(self, fusion: str, client: OpenSearch, one_shard: SmallIndex) -> None:
        alias = f"{one_shard.name}-odd"
        client.indices.put_alias(index=one_shard.name, name=alias, body={"filter": {"term": {"group": "odd"}}})
        searcher = Searcher(client, alias)
        options = {"first_stage": fusion, "rerank": None, "size": 60, "window_size": 60}
        engine = searcher.search(QUERY, fusion="engine", **options).hits
        assert_same(engine, searcher.search(QUERY, fusion="client", **options).hits)
        assert {one_shard.groups[hit.doc_id] for hit in engine} == {"odd"}

    @pytest.mark.parametrize("fusion", [*IN_ENGINE[:2], *IN_ENGINE[-2:]])
    def test_over_several_shards_the_engine_sees_more(
        self, fusion: str, client: OpenSearch, two_shards: SmallIndex
    ) -> None:
        """Each shard hands it a window: with one as large as the index both have the same, complete rankings."""
        searcher = Searcher(client, two_shards.name)
        options = {"first_stage": fusion, "rerank": None, "size": 60, "window_size": 60}
        engine = searcher.search(QUERY, fusion="engine", **options).hits
        client_hits = searcher.search(QUERY, fusion="client", **options).hits
        assert {hit.doc_id for hit in engine} == {hit.doc_id for hit in client_hits}

    def test_a_window_of_one(self, searcher: Searcher) -> None:
        for way in ("engine", "client"):
            (hit,) = searcher.search(QUERY, first_stage="bm25+dense", size=1, window_size=1, fusion=way).hits
            assert math.isfinite(hit.score)
