"""The query layer on the real node, against plain NumPy over the same arrays."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from node_under_test import needs_painless
from opensearchpy import OpenSearch
from small_index import EVERY_RERANK, SmallIndex, make_index, make_query, unit

from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.errors import ClusterError, InputError, MismatchError
from opensearch_multivector.plugin.connection import connect_async
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.first_stages import FIRST_STAGES
from opensearch_multivector.queries.fusion import reciprocal_rank_fusion
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

QUERY = make_query()
# `seismic` has an index of its own: OpenSearch lets no index have both k-NN and `sparse_vector` fields.
# k-NN gives the nearest, however far they are: with few documents every one.
NEAREST = {"dense", "fde", "gauss", "tokens", "views"}
EVERY_STAGE = [*(name for name in FIRST_STAGES if name != "seismic"), "bm25+dense", "bm25+dense+slim"]


@pytest.fixture(scope="module")
def small(client: OpenSearch) -> Iterator[SmallIndex]:
    name = "osmv-test-search"
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    yield make_index(client, name)
    client.indices.delete(index=name)


@pytest.fixture(scope="module")
def searcher(client: OpenSearch, small: SmallIndex) -> Searcher:
    return Searcher(client, small.name)


def exact_ranking(small: SmallIndex, vectors: np.ndarray) -> list[tuple[str, float]]:
    scored = [(doc_id, maxsim(vectors, document)) for doc_id, document in small.vectors.items()]
    return sorted(scored, key=lambda item: -item[1])


def test_client_rerank_is_exact_maxsim(small: SmallIndex, searcher: Searcher) -> None:
    for seed in range(10):
        query = make_query(seed)
        result = searcher.search(query, first_stage="dense", rerank="client", size=60)
        assert query.vectors is not None
        expected = exact_ranking(small, query.vectors)
        assert [hit.doc_id for hit in result.hits] == [doc_id for doc_id, _ in expected]
        np.testing.assert_allclose([hit.score for hit in result.hits], [score for _, score in expected], rtol=1e-5)


@needs_painless
def test_painless_and_client_agree(small: SmallIndex, searcher: Searcher) -> None:
    """After painless's own transform: a query token whose best similarity s is negative adds s / (1 - s) there."""
    for seed in range(10):
        query = make_query(seed)
        client_hits = searcher.search(query, rerank="client", size=60, explain=True).hits
        painless_hits = searcher.search(query, rerank="painless", size=60).hits
        best = [[match.similarity for match in hit.matches or ()] for hit in client_hits]
        transformed = [sum(s if s >= 0 else s / (1 - s) for s in similarities) for similarities in best]
        np.testing.assert_allclose([hit.score for hit in painless_hits], sorted(transformed, reverse=True), rtol=1e-4)
        positive = [hit.doc_id for hit, similarities in zip(client_hits, best, strict=True) if min(similarities) >= 0]
        assert len(positive) > 20
        assert [hit.doc_id for hit in painless_hits if hit.doc_id in positive] == positive


@pytest.mark.parametrize("first", EVERY_RERANK)
def test_a_chain_goes_on_with_what_its_first_rerank_keeps(first: str, small: SmallIndex, searcher: Searcher) -> None:
    query = make_query(5)
    assert query.vectors is not None
    kept = [hit.doc_id for hit in searcher.search(query, rerank=first, size=20).hits]
    # By another score, so that the second rerank's best are not the first's.
    expected = sorted(kept, key=lambda doc_id: -float((query.vectors @ small.vectors[doc_id].T).max()))
    assert expected[:3] != kept[:3]
    for size in (3, 20):
        result = searcher.search(query, rerank=f"{first}:keep=20>client:score=max", size=size)
        assert [hit.doc_id for hit in result.hits] == expected[:size]


def test_dense_ranks_by_the_pooled_vector(small: SmallIndex, searcher: Searcher) -> None:
    result = searcher.search(QUERY, first_stage="dense", rerank=None, size=60)
    assert QUERY.pooled is not None
    similarity = {doc_id: float(unit(doc.mean(axis=0)) @ QUERY.pooled) for doc_id, doc in small.vectors.items()}
    assert [hit.doc_id for hit in result.hits] == sorted(similarity, key=lambda doc_id: -similarity[doc_id])


@pytest.mark.parametrize(("stage", "kind"), [("slim", "upper"), ("slim:bound=fused", "fused")])
def test_slim_scores_are_the_formula(stage: str, kind: str, small: SmallIndex, searcher: Searcher) -> None:
    assert QUERY.terms is not None
    weights: dict[str, float] = getattr(QUERY.terms, kind)
    expected = {
        doc_id: sum(weight * terms.get(term, 0.0) for term, weight in weights.items())
        for doc_id, terms in small.terms.items()
    }
    hits = searcher.search(QUERY, first_stage=stage, rerank=None, size=60).hits
    assert {hit.doc_id for hit in hits} == {doc_id for doc_id, score in expected.items() if score > 0}
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.doc_id], rel=2**-8)


def test_fusion_is_rrf_of_its_stages(searcher: Searcher) -> None:
    alone = [
        [hit.doc_id for hit in searcher.search(QUERY, first_stage=stage, rerank=None, size=60).hits]
        for stage in ("bm25", "dense", "slim")
    ]
    fused = searcher.search(QUERY, first_stage="bm25+dense+slim", rerank=None, size=60).hits
    assert [(hit.doc_id, hit.score) for hit in fused] == reciprocal_rank_fusion(alone)[:60]


@pytest.mark.parametrize("rerank", EVERY_RERANK)
@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_filter_never_leaks(stage: str, rerank: str | None, small: SmallIndex, searcher: Searcher) -> None:
    clause = {"term": {"group": "odd"}}
    hits = searcher.search(QUERY, first_stage=stage, rerank=rerank, size=60, filter=clause).hits
    assert hits
    assert all(small.groups[hit.doc_id] == "odd" for hit in hits)
    if stage in NEAREST:  # the filter is inside the k-NN search: all 30 are found
        assert len(hits) == 30


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_pages_put_together_are_the_whole(stage: str, searcher: Searcher) -> None:
    whole = searcher.search(QUERY, first_stage=stage, size=20).hits
    pages = [searcher.search(QUERY, first_stage=stage, size=5, offset=offset).hits for offset in (0, 5, 10, 15)]
    assert [hit.doc_id for page in pages for hit in page] == [hit.doc_id for hit in whole]


def test_source_is_what_was_asked_for(searcher: Searcher) -> None:
    everything = searcher.search(QUERY, size=1).hits[0].source
    assert {"title", "text", "group"} <= set(everything)
    assert not {"mv.vectors", "mv.dense", "mv.slim"} & set(everything)  # for the engine alone, not for applications
    assert set(searcher.search(QUERY, size=1, source=["title"]).hits[0].source) == {"title"}
    assert searcher.search(QUERY, size=1, source=False).hits[0].source == {}


@pytest.mark.parametrize("rerank", EVERY_RERANK)
async def test_sync_async_and_batch_give_the_same(
    rerank: str | None, client: OpenSearch, node_url: str, small: SmallIndex, searcher: Searcher
) -> None:
    queries = [make_query(seed) for seed in range(20)]
    options = {"first_stage": "bm25+dense", "rerank": rerank, "size": 10}
    one_by_one = [searcher.search(query, **options).hits for query in queries]
    batch = [result.hits for result in searcher.search_many(queries, **options)]
    async with connect_async(node_url) as async_client:
        async_searcher = await AsyncSearcher.open(async_client, small.name)
        side_by_side = [result.hits for result in await async_searcher.search_many(queries, **options)]
    assert batch == one_by_one
    assert side_by_side == one_by_one


def test_explanation_adds_up_to_the_score(small: SmallIndex, searcher: Searcher) -> None:
    for hit in searcher.search(QUERY, size=5, explain=True).hits:
        assert hit.matches is not None
        assert sum(match.similarity for match in hit.matches) == pytest.approx(hit.score, rel=1e-5)


def test_timings_name_the_stages(searcher: Searcher) -> None:
    timings = searcher.search(QUERY).timings
    assert {"encode", "first_stage", "first_stage_took", "rerank", "fetch", "total"} == set(timings)
    assert timings["total"] >= timings["first_stage"]


def test_an_alias_over_two_indices_keeps_equal_ids_apart(client: OpenSearch, index_name: str) -> None:
    first, second = make_index(client, f"{index_name}-a", count=5), make_index(client, f"{index_name}-b", count=5)
    second.put(np.random.default_rng(99), list(second.vectors))
    try:
        client.indices.put_alias(index=f"{index_name}-*", name=f"{index_name}-both")
        hits = Searcher(client, f"{index_name}-both").search(QUERY, size=10).hits
        assert QUERY.vectors is not None
        expected = {
            (small.name, doc_id): maxsim(QUERY.vectors, document)
            for small in (first, second)
            for doc_id, document in small.vectors.items()
        }
        assert {(hit.index, hit.doc_id) for hit in hits} == set(expected)
        for hit in hits:
            assert hit.score == pytest.approx(expected[hit.index, hit.doc_id], rel=1e-5)
            assert hit.source["title"] == hit.doc_id
        # Only one of the two documents with an id is on the page: it, not the other, is fetched.
        best = Searcher(client, f"{index_name}-both").search(QUERY, size=1, rerank="client", first_stage="bm25+dense")
        (key,) = [(hit.index, hit.doc_id) for hit in best.hits]
        assert key == max(expected, key=lambda key: expected[key])
        assert best.hits[0].source["title"] == key[1]
    finally:
        client.indices.delete(index=f"{first.name},{second.name}")


class TestChanges:
    """What ColBERT indexes are known to fail at: documents that come, change and go after the first load."""

    def test_each_is_seen_by_the_next_search_after_a_refresh(self, client: OpenSearch, index_name: str) -> None:
        small = make_index(client, index_name, count=20, shards=1)
        searcher = Searcher(client, index_name)
        refresh = {"refresh": "true"}
        assert QUERY.vectors is not None
        assert QUERY.terms is not None

        def rankings() -> dict[str, list[str]]:
            return {
                f"{stage}/{rerank}": [
                    hit.doc_id for hit in searcher.search(QUERY, first_stage=stage, rerank=rerank, size=40).hits
                ]
                for stage in EVERY_STAGE
                for rerank in (None, *EVERY_RERANK)
            }

        before = rankings()
        assert all(ranking and "new" not in ranking for ranking in before.values())

        small.vectors["new"], small.groups["new"] = QUERY.vectors, "odd"
        small.terms["new"] = dict.fromkeys(QUERY.terms.upper, 9.0)
        tokens = QUERY.terms.tokens
        small.tokens["new"] = replace(tokens, weights=3 * tokens.weights)
        client.index(index=index_name, id="new", body=small.body("new"), params=refresh)
        assert {name: ranking[0] for name, ranking in rankings().items()} == dict.fromkeys(before, "new")

        small.vectors["new"], small.terms["new"] = -QUERY.vectors, {"elsewhere": 1.0}
        small.tokens["new"] = replace(tokens, ids=tokens.ids + 1000)
        client.index(index=index_name, id="new", body=small.body("new"), params=refresh)
        for name, ranking in rankings().items():
            assert ranking[0] != "new", name
            # `codes` asks for 37 of the 40 centroids, on two of which the opposite vectors happen to fall.
            if not (NEAREST | {"codes"}) & set(name.split("/")[0].split("+")):
                assert "new" not in ranking, name

        client.delete(index=index_name, id="new", params=refresh)
        assert rankings() == before
        best = before["dense/client"][0]
        client.delete(index=index_name, id=best, params=refresh)
        for name, ranking in rankings().items():
            assert set(ranking) == set(before[name]) - {best}, name


class TestDamage:
    """A document whose vectors can't be read costs itself, not the search."""

    def put_blob(self, small: SmallIndex, doc_id: str, blob: bytes | None) -> None:
        body = small.body(doc_id)
        if blob is None:
            del body["mv.vectors"]
        else:
            body["mv.vectors"] = base64.b64encode(blob).decode()
        small.client.index(index=small.name, id=doc_id, body=body, params={"refresh": "true"})

    def test_cut_altered_and_missing_blobs_are_left_out_and_counted(self, client: OpenSearch, index_name: str) -> None:
        small = make_index(client, index_name, count=20)
        whole = base64.b64decode(small.body("d000")["mv.vectors"])
        self.put_blob(small, "d000", whole[:-3])
        self.put_blob(small, "d001", whole[:20] + b"\xff\xff" + whole[22:])
        self.put_blob(small, "d002", None)
        self.put_blob(small, "d003", whole[:4] + b"\x63" + whole[5:])
        for stage in ("dense", "bm25+dense"):
            searcher = Searcher(client, index_name)
            result = searcher.search(QUERY, first_stage=stage, rerank="client", size=20, explain=True)
            assert set(result.skipped) == {"d000", "d001", "d002", "d003"}
            assert "CRC-32C" in result.skipped["d000"]
            assert "CRC-32C" in result.skipped["d001"]
            assert "no token vectors" in result.skipped["d002"]
            assert "version 99" in result.skipped["d003"]
            assert len(result.hits) == 16
        without = Searcher(client, index_name).search(QUERY, rerank=None, size=20, explain=True)
        assert len(without.hits) == 20  # found by the first stage all the same; nothing to explain for the four
        assert sum(hit.matches == () for hit in without.hits) == 4

    def test_an_unknown_format_version_in_meta_is_refused(self, client: OpenSearch, index_name: str) -> None:
        make_index(client, index_name, count=1)
        meta = client.indices.get_mapping(index=index_name)[index_name]["mappings"]["_meta"]
        meta["osmv"]["fields"]["mv"]["format_version"] = 99
        client.indices.put_mapping(index=index_name, body={"_meta": meta})
        with pytest.raises(MismatchError, match="format version 99"):
            Searcher(client, index_name)


class TestRefusals:
    """Bad input is one clear sentence."""

    def test_no_such_index(self, client: OpenSearch) -> None:
        with pytest.raises(ClusterError, match="no index"):
            Searcher(client, "osmv-nowhere")

    def test_no_such_field(self, client: OpenSearch, small: SmallIndex) -> None:
        with pytest.raises(MismatchError, match="its multi-vector fields are: mv"):
            Searcher(client, small.name, field="other")

    def test_an_index_that_is_not_ours(self, client: OpenSearch, index_name: str) -> None:
        client.indices.create(index=index_name)
        with pytest.raises(MismatchError, match="no multi-vector field"):
            Searcher(client, index_name)

    def test_a_text_needs_an_encoder(self, searcher: Searcher) -> None:
        with pytest.raises(InputError, match="ready-made"):
            searcher.search("words")

    def test_another_dimension(self, searcher: Searcher) -> None:
        query = make_query()
        wrong = type(query)(vectors=np.ones((2, 3), np.float32), pooled=np.ones(3, np.float32))
        with pytest.raises(MismatchError, match="3 dimensions, the index has 16"):
            searcher.search(wrong)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"first_stage": "bm52"}, "unknown first stage 'bm52'"),
            ({"first_stage": "dense+dense"}, "twice"),
            ({"rerank": "magic"}, "unknown rerank 'magic'"),
            ({"size": -1}, "negative"),
            ({"window_size": 0}, "window_size must be"),
            ({"size": 10, "offset": 95}, "beyond the window of 100"),
            ({"filter": {"a": 1, "b": 2}}, "one OpenSearch query clause"),
        ],
    )
    def test_options_that_make_no_sense(self, searcher: Searcher, options: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            searcher.search(QUERY, **options)

    def test_a_filter_that_opensearch_refuses(self, searcher: Searcher) -> None:
        for search in (searcher.search, lambda query, **options: searcher.search_many([query], **options)):
            with pytest.raises(ClusterError, match="nonsense"):
                search(QUERY, filter={"nonsense": {}})
