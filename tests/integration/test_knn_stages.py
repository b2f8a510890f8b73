"""First stages over k-NN fields on the real node, each against brute force over its own formula."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from node_under_test import SINCE_3_3
from opensearchpy import OpenSearch
from small_index import DIM, sub_field_values, unit

from opensearch_multivector.encoding.gaussian import mean_and_variance
from opensearch_multivector.encoding.views import document_views
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import index_body
from opensearch_multivector.plugin.sub_fields import Fde, Gauss, SubField, Tokens, Views
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

# HNSW looks at all there is where it is asked for more than there is: the search is exact.
COUNT = 60
EXACT = "ef_search=200"
VARIANTS: dict[str, tuple[SubField, ...]] = {
    "float": (Fde(k_sim=3, dim_proj=8, r_reps=5), Gauss(), Tokens(), Views(count=3)),
    "byte": (Fde(k_sim=3, dim_proj=8, r_reps=5, storage="byte", limit=2.0), Tokens(storage="byte")),
    "sq": (Fde(k_sim=3, dim_proj=8, r_reps=5, storage="sq"), Tokens(storage="sq")),
    "on_disk": (Fde(k_sim=3, dim_proj=8, r_reps=5, storage="on_disk"), Tokens(storage="on_disk")),
}


class Stored:
    """An index and the arrays that are in it."""

    def __init__(self, client: OpenSearch, name: str, sub_fields: tuple[SubField, ...], shards: int) -> None:
        rng = np.random.default_rng(11)
        self.spec = FieldSpec("mv", DIM, "f32", EncoderRef(READY_VECTORS, "none"), sub_fields=sub_fields)
        self.vectors = {f"d{i}": unit(rng.normal(size=(int(rng.integers(1, 9)), DIM)) + 0.4) for i in range(COUNT)}
        self.groups = {doc_id: "even" if i % 2 == 0 else "odd" for i, doc_id in enumerate(self.vectors)}
        body = index_body(self.spec, shards=shards)
        body["mappings"]["properties"]["group"] = {"type": "keyword"}
        client.indices.delete(index=name, params={"ignore_unavailable": "true"})
        client.indices.create(index=name, body=body)
        names = [sub_field.name for sub_field in sub_fields]
        lines: list[dict[str, object]] = []
        for doc_id, vectors in self.vectors.items():
            lines.append({"index": {"_index": name, "_id": doc_id}})
            lines.append({"group": self.groups[doc_id], **sub_field_values(self.spec, vectors, names)})
        answer = client.bulk(body=lines, params={"refresh": "true"})
        assert not answer["errors"], answer["items"][0]
        self.searcher = Searcher(client, name)

    def found(self, stage: str, query: np.ndarray, **options: object) -> dict[str, float]:
        options = {"rerank": None, "size": COUNT, "source": False} | options
        hits = self.searcher.search(EncodedQuery(vectors=query), first_stage=stage, **options).hits
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        return {hit.doc_id: hit.score for hit in hits}


SHARDS = {"float": 2, "byte": 1, "sq": 1, "on_disk": 1}
FLOAT = pytest.mark.parametrize("kept", ["float"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=SHARDS)
def kept(request: pytest.FixtureRequest, client: OpenSearch) -> Iterator[tuple[str, Stored]]:
    variant, shards = request.param, SHARDS[request.param]
    name = f"osmv-test-knn-{variant.replace('_', '')}-{shards}"
    yield variant, Stored(client, name, VARIANTS[variant], shards)
    client.indices.delete(index=name)


def queries() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [unit(rng.normal(size=(n, DIM)) + 0.4) for n in (1, 3, 6)]


def lucene(inner_product: float) -> float:
    """The score that Lucene makes of an inner product."""
    return 1 + inner_product if inner_product >= 0 else 1 / (1 - inner_product)


# How far scores may be off: for encodings as a share of the largest, for tokens each. Lucene's own quantiser knows too
# little of so small an index for a bound, and that of 2.19 even less.
ERRORS = {"float": (1e-5, 1e-4), "byte": (0.03, 0.03)}


def assert_close(variant: str, found: dict[str, float], expected: dict[str, float], allowed: float) -> None:
    common = sorted(found.keys() & expected.keys())
    if variant in ERRORS:
        assert [found[doc_id] for doc_id in common] == pytest.approx([expected[d] for d in common], abs=allowed)
    elif len(common) > 20:
        agreement = np.corrcoef([found[d] for d in common], [expected[d] for d in common])[0, 1]
        assert agreement > (0.9 if SINCE_3_3 else 0.8)


def test_fde_scores_are_the_encodings_inner_products(kept: tuple[str, Stored]) -> None:
    variant, stored = kept
    encoding = stored.spec.need(Fde, "test").encoding(stored.spec)
    for query in queries():
        encoded = encoding.query(query)
        expected = {d: float(encoded @ encoding.documents(v, [len(v)])[0]) for d, v in stored.vectors.items()}
        found = stored.found(f"fde:{EXACT}", query)
        if variant == "byte":  # its scores have the query's scale: compare what does not depend on it
            scale = (max(found.values()) - 1) / max(expected.values())
            found = {doc_id: (score - 1) / scale + 1 if score >= 1 else 1.0 for doc_id, score in found.items()}
            expected = {doc_id: max(score, 0.0) for doc_id, score in expected.items()}
        assert set(found) == set(stored.vectors)
        allowed = ERRORS.get(variant, (0, 0))[0] * max(map(abs, expected.values()))
        assert_close(variant, found, {doc_id: lucene(score) for doc_id, score in expected.items()}, allowed)


def similarities(stored: Stored, query: np.ndarray) -> dict[str, np.ndarray]:
    return {doc_id: (query @ vectors.T).max(axis=1) for doc_id, vectors in stored.vectors.items()}


def xtr(stored: Stored, query: np.ndarray, k: int, allowed: set[str]) -> dict[str, float]:
    """XTR's score one query token at a time: its k best documents count, all others get what the k-th has."""
    best = {doc_id: s for doc_id, s in similarities(stored, query).items() if doc_id in allowed}
    scores = dict.fromkeys(best, 0.0)
    finds: set[str] = set()
    for i in range(len(query)):
        ranking = sorted(best, key=lambda doc_id: -best[doc_id][i])
        missing = best[ranking[:k][-1]][i]
        finds |= set(ranking[:k])
        for place, doc_id in enumerate(ranking):
            scores[doc_id] += float(best[doc_id][i] if place < k else missing)
    return {doc_id: score for doc_id, score in scores.items() if doc_id in finds}


@pytest.mark.parametrize("k", [1, 7, 100])
def test_tokens_scores_are_those_of_xtr(kept: tuple[str, Stored], k: int) -> None:
    variant, stored = kept
    for query in queries():
        expected = xtr(stored, query, k, set(stored.vectors))
        found = stored.found(f"tokens:k={k},{EXACT}", query)
        if variant == "float":
            assert set(expected) <= set(found)
            # Each shard brings k for every token; those that are among no token's k best over all come last.
            floor = min(expected.values())
            assert all(score <= floor + 1e-4 for doc_id, score in found.items() if doc_id not in expected)
        assert_close(variant, found, expected, len(query) * ERRORS.get(variant, (0, 0))[1])


def test_tokens_min_score_is_of_the_imputed_score(kept: tuple[str, Stored]) -> None:
    _, stored = kept
    query = queries()[2]
    everything = stored.found(f"tokens:k=9,{EXACT}", query)
    least = sorted(everything.values())[-5]
    assert len(stored.found(f"tokens:k=9,{EXACT},min_score={least - 1e-6!r}", query)) == 5


@FLOAT
def test_views_score_is_the_best_views(kept: tuple[str, Stored]) -> None:
    _, stored = kept
    for query in queries():
        pooled = unit(query.mean(axis=0))
        expected = {
            doc_id: lucene(float((document_views(vectors, 3) @ pooled).max()))
            for doc_id, vectors in stored.vectors.items()
        }
        assert stored.found(f"views:{EXACT}", query) == pytest.approx(expected, abs=1e-5)


@FLOAT
def test_gauss_ranks_by_divergence(kept: tuple[str, Stored]) -> None:
    _, stored = kept
    for query in queries():
        mean, variance = mean_and_variance(query, 1.0)

        def divergence(document: np.ndarray, mean: np.ndarray = mean, variance: np.ndarray = variance) -> float:
            m, v = mean_and_variance(document, 1.0)
            return float(0.5 * (np.log(v / variance) + (variance + (mean - m) ** 2) / v - 1).sum())

        found = list(stored.found(f"gauss:{EXACT}", query))
        divergences = [divergence(stored.vectors[doc_id]) for doc_id in found]
        assert len(found) == COUNT
        np.testing.assert_allclose(divergences, sorted(divergences), rtol=1e-3, atol=1e-3)


def test_filters_never_leak_and_leave_the_window_full(kept: tuple[str, Stored]) -> None:
    _, stored = kept
    odd = {doc_id for doc_id, group in stored.groups.items() if group == "odd"}
    query = queries()[1]
    for sub_field in stored.spec.sub_fields:
        stage = f"{sub_field.name}:{EXACT}"
        assert set(stored.found(stage, query, filter={"term": {"group": "odd"}})) == odd
        one = stored.found(stage, query, filter={"term": {"group": "odd"}}, window_size=1, size=1)
        assert len(one) == 1
        assert set(one) <= odd


@FLOAT
def test_many_queries_at_once_and_fusions_give_what_single_searches_give(kept: tuple[str, Stored]) -> None:
    _, stored = kept
    batch = [EncodedQuery(vectors=query) for query in queries()]
    for stage in ("tokens", "fde", "tokens+fde", "0.5*tokens + 0.5*fde"):
        options = {"first_stage": stage, "rerank": None, "size": 10, "source": False}
        for query, result in zip(batch, stored.searcher.search_many(batch, **options), strict=True):
            # A merge between the two requests may change the order of sums, and so a score's last bits.
            together = {hit.doc_id: hit.score for hit in result.hits}
            alone = {hit.doc_id: hit.score for hit in stored.searcher.search(query, **options).hits}
            assert together == pytest.approx(alone, abs=1e-6)
            assert len(together) == 10
