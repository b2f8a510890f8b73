"""The query `maxsim` beside other queries of OpenSearch, as a user without our Python writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from node_under_test import needs_native
from opensearchpy import OpenSearch
from small_index import unit

pytestmark = [
    pytest.mark.integration,
    needs_native,
]

DIM = 16
COUNT = 80
RNG = np.random.default_rng(5)
DOCUMENTS = {f"d{i}": unit(RNG.normal(size=(int(RNG.integers(1, 9)), DIM)) + 0.3) for i in range(COUNT)}
QUERY = unit(RNG.normal(size=(4, DIM)) + 0.3)
MAXSIM = {"maxsim": {"field": "tv", "query_vectors": QUERY.tolist()}}


@pytest.fixture(scope="module")
def index(client: OpenSearch) -> Iterator[str]:
    name = "test-native-query"
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    properties = {
        "tv": {"type": "token_vectors", "dimension": DIM, "codec": "f32"},
        "n": {"type": "integer"},
        "parts": {
            "type": "nested",
            "properties": {"tv": {"type": "token_vectors", "dimension": DIM, "codec": "f32"}},
        },
    }
    client.indices.create(index=name, body={"mappings": {"properties": properties}})
    lines: list[dict[str, Any]] = []
    for i, (doc_id, vectors) in enumerate(DOCUMENTS.items()):
        parts = [{"tv": vectors[:1].tolist()}, {"tv": vectors[1:].tolist()}]
        lines += [{"index": {"_index": name, "_id": doc_id}}, {"tv": vectors.tolist(), "n": i + 1, "parts": parts}]
    answer = client.bulk(body=lines, params={"refresh": "true"})
    assert not answer["errors"], answer["items"][0]
    yield name
    client.indices.delete(index=name)


def search(client: OpenSearch, index: str, query: dict[str, Any], **body: Any) -> dict[str, float]:
    found = client.search(index=index, body={"query": query, "size": COUNT, "_source": False, **body})
    return {hit["_id"]: hit["_score"] for hit in found["hits"]["hits"]}


def raw(vectors: np.ndarray) -> float:
    return float((QUERY @ vectors.T).max(axis=1).sum())


def score(vectors: np.ndarray) -> float:
    """As OpenSearch shows it."""
    n, total = len(QUERY), raw(vectors)
    return n + total if total >= 0 else n * n / (n - total)


def test_alone_and_among_other_clauses(client: OpenSearch, index: str) -> None:
    expected = {doc_id: score(vectors) for doc_id, vectors in DOCUMENTS.items()}
    assert search(client, index, MAXSIM) == pytest.approx(expected, abs=1e-4)
    half = {"range": {"n": {"lte": COUNT // 2}}}
    found = search(client, index, {"bool": {"must": [MAXSIM], "filter": [half]}})
    assert found == pytest.approx({f"d{i}": expected[f"d{i}"] for i in range(COUNT // 2)}, abs=1e-4)
    added = search(client, index, {"bool": {"must": [{"constant_score": {"filter": half, "boost": 3}}, MAXSIM]}})
    assert added == pytest.approx({f"d{i}": expected[f"d{i}"] + 3 for i in range(COUNT // 2)}, abs=1e-4)
    better = {"maxsim": {**MAXSIM["maxsim"], "min_score": 2.0}}
    assert set(search(client, index, better)) == {d for d, vectors in DOCUMENTS.items() if raw(vectors) >= 2}


def test_hybrid_normalises_and_adds(client: OpenSearch, index: str) -> None:
    by_number = {"function_score": {"query": {"match_all": {}}, "field_value_factor": {"field": "n"}}}
    combination = {"technique": "arithmetic_mean", "parameters": {"weights": [0.3, 0.7]}}
    processor = {"normalization": {"technique": "min_max"}, "combination": combination}
    pipeline = {"phase_results_processors": [{"normalization-processor": processor}]}
    found = search(client, index, {"hybrid": {"queries": [by_number, MAXSIM]}}, search_pipeline=pipeline)

    def scaled(values: dict[str, float]) -> dict[str, float]:
        low, high = min(values.values()), max(values.values())
        # The least of each is not quite nothing: neural-search gives it .001.
        return {doc_id: max((value - low) / (high - low), 0.001) for doc_id, value in values.items()}

    numbers = scaled({f"d{i}": float(i + 1) for i in range(COUNT)})
    sums = scaled({doc_id: score(vectors) for doc_id, vectors in DOCUMENTS.items()})
    assert found == pytest.approx({d: 0.3 * numbers[d] + 0.7 * sums[d] for d in DOCUMENTS}, abs=1e-3)


def test_nested_scores_each_part(client: OpenSearch, index: str) -> None:
    maxsim = {"maxsim": {**MAXSIM["maxsim"], "field": "parts.tv"}}
    best = search(client, index, {"nested": {"path": "parts", "score_mode": "max", "query": maxsim}})

    def part(vectors: np.ndarray) -> float:
        return score(vectors) if len(vectors) else float(len(QUERY))

    expected = {d: max(part(vectors[:1]), part(vectors[1:])) for d, vectors in DOCUMENTS.items()}
    assert best == pytest.approx(expected, abs=1e-4)


def test_explain_and_profile(client: OpenSearch, index: str) -> None:
    body = {"query": MAXSIM, "size": 3, "explain": True, "profile": True}
    answer = client.search(index=index, body=body)
    for hit in answer["hits"]["hits"]:
        assert hit["_explanation"]["value"] == pytest.approx(hit["_score"], abs=1e-5)
        similarities = QUERY @ DOCUMENTS[hit["_id"]].T
        # Beside it is the clause by which OpenSearch leaves the nested documents out.
        maxsim = hit["_explanation"]["details"][0]
        told = {detail["description"]: detail["value"] for detail in maxsim["details"]}
        assert told["S, raw sum_max"] == pytest.approx(raw(DOCUMENTS[hit["_id"]]), abs=1e-4)
        for i, token in enumerate(similarities.argmax(axis=1).tolist()):
            name = f"query token {i}, weight 1.0: similarity to document token {token}"
            assert told[name] == pytest.approx(similarities[i, token], abs=1e-5)
    assert "MaxSimQuery" in str(answer["profile"])
