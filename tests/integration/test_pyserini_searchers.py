"""Searchers with Pyserini's habits, each against its formula: hits, order of equal scores, batches, documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from test_term_search import ENCODER, QUERIES, TEXTS, fill

from opensearch_multivector.encoding.sparsify import (
    Terms,
    document_terms,
    fused_terms,
    pyserini_terms,
    slim_score,
    whole_terms,
)
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.evaluation.collection.beir import Collection
from opensearch_multivector.evaluation.evaluate import Configuration, evaluate
from opensearch_multivector.evaluation.provenance import read_header
from opensearch_multivector.evaluation.runs import read_run
from opensearch_multivector.indexing import Layout, index_documents
from opensearch_multivector.plugin.mapping import Bm25Parameters
from opensearch_multivector.plugin.sub_fields import Dense, Slim
from opensearch_multivector.plugin.sub_fields import TokenTerms as StoredTokenTerms
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.pyserini import (
    BM25Searcher,
    DenseSearcher,
    ImpactSearcher,
    MultiVectorSearcher,
    SlimSearcher,
    pyserini_queries,
)
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

DIM = 4
WORDS = ["a", "b", "c", "d", "e", "f"]


def impacts() -> dict[str, dict[str, int]]:
    """Small whole numbers, so that many documents are level; `a` is in all of them."""
    rng = np.random.default_rng(8)
    documents = {}
    for number in range(90):
        words = ["a", *rng.choice(WORDS[1:], size=rng.integers(1, 4), replace=False)]
        documents[f"{number * 37 % 100}"] = {str(word): int(rng.integers(1, 4)) for word in words}
    return documents


IMPACTS = impacts()
VECTORS = dict(zip(IMPACTS, np.random.default_rng(9).normal(size=(len(IMPACTS), DIM)).astype(np.float32), strict=True))


def records() -> list[dict[str, Any]]:
    return [
        {
            "id": docid,
            "title": f"No. {docid}",
            "contents": " ".join(word for word, n in weights.items() for _ in range(n)),
            "vector": weights,
            "pooled": VECTORS[docid].tolist(),
        }
        for docid, weights in IMPACTS.items()
    ]


def make(client: OpenSearch, name: str, **options: Any) -> None:
    layout = Layout(text_field="contents", title_field="none", terms_field="vector", pooled_field="pooled")
    usual = {"encoder": None, "no_vectors": True, "layout": layout, "sub_fields": (Slim(), Dense(dim=DIM))}
    summary = index_documents(client, name, records(), **(usual | options))
    assert summary.indexed == len(IMPACTS), summary.rejections


@pytest.fixture(scope="module")
def index(client: OpenSearch) -> Iterator[str]:
    name = "osmv-test-pyserini"
    client.indices.delete(index=name, ignore_unavailable=True)
    make(client, name)
    yield name
    client.indices.delete(index=name)


def ranked(scores: Mapping[str, float], k: int) -> list[tuple[str, float]]:
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:k]


def dots(query: Mapping[str, float], documents: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    scores = {docid: sum(w * d.get(t, 0) for t, w in query.items()) for docid, d in documents.items()}
    return {docid: score for docid, score in scores.items() if score > 0}


def idf(word: str) -> float:
    return log(len(IMPACTS) / sum(word in weights for weights in IMPACTS.values()))


@pytest.mark.parametrize("k", [1, 10, 33, 90])
def test_impact_search_is_the_dot_product_with_ties_by_docid(client: OpenSearch, index: str, k: int) -> None:
    searcher = ImpactSearcher.from_index(index, client=client)
    hits = searcher.search("a b b c nowhere", k)
    assert [(hit.docid, hit.score) for hit in hits] == ranked(dots({"b": 2, "c": 1}, IMPACTS), k)


def test_terms_of_little_idf_are_left_out(client: OpenSearch, index: str) -> None:
    words = sorted(WORDS[1:], key=idf)
    between = (idf(words[1]) + idf(words[2])) / 2
    hits = ImpactSearcher.from_index(index, client=client, min_idf=between).search(" ".join(WORDS), 90)
    assert [(hit.docid, hit.score) for hit in hits] == ranked(dots(dict.fromkeys(words[2:], 1), IMPACTS), 90)
    assert ImpactSearcher.from_index(index, client=client).search("a") == []


def test_weights_come_from_any_encoder_or_a_file(client: OpenSearch, index: str, tmp_path: Path) -> None:
    class Encoder:
        def encode(self, text: str) -> dict[str, int]:
            return {"b": len(text)}

    path = tmp_path / "queries.jsonl"
    path.write_text('{"contents": "five5 ", "vector": {"b": 5}}\n\n{"text": "b", "vector": {"d": 2}}\n')
    expected = ranked(dots({"b": 5}, IMPACTS), 10)
    for given in (Encoder(), path, str(path)):
        hits = ImpactSearcher.from_index(index, client=client, query_encoder=given).search("five5")
        assert [(hit.docid, hit.score) for hit in hits] == expected
    with pytest.raises(InputError, match="has no query 'other'"):
        ImpactSearcher.from_index(index, client=client, query_encoder=path).search("other")
    path.write_text('{"contents": "five5"}\n')
    with pytest.raises(InputError, match=r"queries\.jsonl:1: a ready query is an object"):
        ImpactSearcher.from_index(index, client=client, query_encoder=path)
    for wrong, message in (("castorini/unicoil", "no file of ready queries"), (7, "an object with encode")):
        with pytest.raises(InputError, match=message):
            ImpactSearcher.from_index(index, client=client, query_encoder=wrong)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_batch_is_each_query_by_itself(client: OpenSearch, index: str, threads: int) -> None:
    rng = np.random.default_rng(2)
    queries = [" ".join(rng.choice(WORDS[1:], size=3)) for _ in range(50)]
    qids = [f"q{i}" for i in range(50)]
    for searcher in (ImpactSearcher.from_index(index, client=client), BM25Searcher.from_index(index, client=client)):
        found = searcher.batch_search(queries, qids, 20, threads)
        assert list(found) == qids
        for qid, query in zip(qids, queries, strict=True):
            assert found[qid] == searcher.search(query, 20)
    assert searcher.batch_search([], []) == {}
    with pytest.raises(InputError, match="50 queries and 49 ids"):
        searcher.batch_search(queries, qids[1:])


def test_bm25_takes_its_parameters_later_too(client: OpenSearch, index: str, index_name: str) -> None:
    make(client, index_name, bm25=Bm25Parameters(0.9, 0.4))
    expected = BM25Searcher.from_index(index_name, client=client).search("b c", 50)
    plain = BM25Searcher.from_index(index, client=client)
    before = plain.search("b c", 50)
    assert before != expected

    def version() -> int:
        state = client.cluster.state(metric="metadata", index=index)
        return int(state["metadata"]["indices"][index]["settings_version"])

    plain.set_bm25(1.2, 0.75)
    untouched = version()
    plain.set_bm25(0.9, 0.4)
    assert version() > untouched
    changed = version()
    found = plain.search("b c", 50)
    assert [(hit.docid, hit.score) for hit in found] == [(hit.docid, hit.score) for hit in expected]
    plain.set_bm25()
    assert version() == changed
    plain.set_bm25(1.2, 0.75)
    assert plain.search("b c", 50) == before
    with pytest.raises(InputError, match="k1 of BM25"):
        plain.set_bm25(-1, 0.4)


def test_dense_scores_are_inner_products(client: OpenSearch, index: str, tmp_path: Path) -> None:
    query = np.array([1.0, -2.0, 0.5, 3.0], np.float32)

    class Encoder:
        def encode(self, text: str) -> np.ndarray:
            return query[None]

    path = tmp_path / "queries.jsonl"
    path.write_text(json.dumps({"contents": "bees", "vector": query.tolist()}))
    expected = ranked({docid: float(query @ vector) for docid, vector in VECTORS.items()}, 90)
    assert expected[-1][1] < -1
    of_encoder = DenseSearcher.from_index(index, client=client, query_encoder=Encoder())
    of_file = DenseSearcher.from_index(index, client=client, query_encoder=path)
    for hits in (of_encoder.search("bees", 90), of_file.search("bees", 90), of_encoder.search(query, 90)):
        assert [hit.docid for hit in hits] == [docid for docid, _ in expected]
        assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected], abs=1e-5)
    with pytest.raises(InputError, match="gives no vector of numbers"):
        DenseSearcher.from_index(index, client=client, query_encoder=_Words()).search("bees")


class _Words:
    def encode(self, text: str) -> list[str]:
        return text.split()


@pytest.fixture(scope="module")
def slim_index(client: OpenSearch) -> Iterator[str]:
    name = "osmv-test-pyserini-slim"
    client.indices.delete(index=name, ignore_unavailable=True)
    fill(client, name, Slim(scale=51.2), StoredTokenTerms(weights="f32"))
    yield name
    client.indices.delete(index=name)


def stored() -> dict[str, Terms]:
    encoded = ENCODER.encode_terms(list(TEXTS.values()), "document")
    return {
        docid: whole_terms(document_terms(terms, ENCODER.vocabulary), 51.2)
        for docid, terms in zip(TEXTS, encoded, strict=True)
    }


def reranked(query: str, candidates: list[tuple[str, float]]) -> list[tuple[str, float]]:
    (tokens,) = ENCODER.encode_terms([query], "query")
    texts = [TEXTS[docid] for docid, _ in candidates]
    exact = [slim_score(tokens, document) for document in ENCODER.encode_terms(texts, "document")]
    scored = [(docid, score) for (docid, _), score in zip(candidates, exact, strict=True)]
    return sorted(scored, key=lambda item: -item[1])


@pytest.mark.parametrize(("as_pyserini", "min_idf"), [(True, 0), (True, 1), (False, 0), (False, 1)])
@pytest.mark.parametrize("query", QUERIES)
def test_slim_by_its_steps(client: OpenSearch, slim_index: str, query: str, as_pyserini: bool, min_idf: int) -> None:
    k = 5
    documents = stored()
    (tokens,) = ENCODER.encode_terms([query], "query")
    weights = (pyserini_terms if as_pyserini else fused_terms)(tokens, ENCODER.vocabulary)
    if as_pyserini or min_idf:
        counts = {term: sum(term in each for each in documents.values()) for term in weights}
        weights = {t: w for t, w in weights.items() if counts[t] and log(len(documents) / counts[t]) > min_idf}
    candidates = ranked(dots(weights, documents), k * (min_idf + 1))
    expected = reranked(query, candidates)[:k]
    searcher = SlimSearcher.from_index(
        slim_index, client=client, as_pyserini=as_pyserini, min_idf=min_idf, term_encoder=ENCODER
    )
    hits = searcher.search(query, k)
    assert [hit.docid for hit in hits] == [docid for docid, _ in expected]
    assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected], rel=1e-6)


def test_queries_of_pyserini_have_whole_weights(client: OpenSearch, slim_index: str) -> None:
    searcher = Searcher(client, slim_index, term_encoder=ENCODER)
    made = pyserini_queries(client, searcher, QUERIES)
    for query, text in zip(made, QUERIES, strict=True):
        assert query.text == text
        assert query.terms is not None
        assert query.terms.upper == query.terms.fused
        assert all(isinstance(weight, int) for weight in query.terms.upper.values())
    with pytest.raises(InputError, match="terms of each query token"):
        pyserini_queries(client, searcher, [EncodedQuery(terms=type(made[0].terms).ready({"t1": 2}))])


def test_an_evaluation_as_pyserini_ranks_as_the_searcher(client: OpenSearch, slim_index: str, tmp_path: Path) -> None:
    topics = {f"q{i}": query for i, query in enumerate(QUERIES)}
    collection = Collection("words", topics, {qid: {"d0": 1} for qid in topics}, 0, 0)
    searcher = Searcher(client, slim_index, term_encoder=ENCODER)
    configuration = Configuration.parse("slim/slim")
    options = {"size": 4, "window_size": 100, "runs_dir": tmp_path, "latency_topics": 0}
    evaluate(searcher, collection, [configuration], **options, as_pyserini=True, min_idf=1)
    run = read_run(tmp_path / "slim.slim.trec")
    ours = SlimSearcher.from_index(slim_index, client=client, as_pyserini=True, min_idf=1, term_encoder=ENCODER)
    hits = ours.batch_search(QUERIES, list(topics), 4)
    assert {qid: [docid for docid, _ in run[qid]] for qid in topics} == {
        qid: [hit.docid for hit in found] for qid, found in hits.items()
    }
    search = (read_header(tmp_path / "slim.slim.trec") or {})["search"]
    assert search.items() >= {"as_pyserini": True, "min_idf": 1, "window_size": 8, "ties": "docid"}.items()
    evaluate(searcher, collection, [configuration], **options)
    assert read_run(tmp_path / "slim.slim.trec") != run


def test_pyserinis_ranking_takes_documents_as_pyserini_has_them(client: OpenSearch, index_name: str) -> None:
    fill(client, index_name, Slim(), StoredTokenTerms())
    with pytest.raises(MismatchError, match=r"slim:scale=51\.2"):
        SlimSearcher.from_index(index_name, client=client, as_pyserini=True, term_encoder=ENCODER)


def test_multi_vector_search_is_the_searchers(client: OpenSearch, slim_index: str) -> None:
    query = EncodedQuery(text="w1 w2", vectors=np.array([[0.5, 0.5]], np.float32))
    options = {"first_stage": "bm25", "rerank": "client"}
    searcher = MultiVectorSearcher.from_index(slim_index, client=client, window_size=30, **options)
    expected = Searcher(client, slim_index).search(query, window_size=30, ties="docid", **options).hits
    assert [(hit.docid, hit.score) for hit in searcher.search(query)] == [(hit.doc_id, hit.score) for hit in expected]


def test_documents(client: OpenSearch, node_url: str, index: str) -> None:
    with BM25Searcher.from_index(index, node_url) as searcher:
        assert searcher.num_docs == len(IMPACTS)
        hit = searcher.search("b c", 1)[0]
        document = searcher.doc(hit.docid)
        assert document is not None
        assert document.docid() == document.id() == hit.docid
        (record,) = [record for record in records() if record["id"] == hit.docid]
        assert document.contents() == document.get("contents") == record["contents"]
        assert json.loads(document.raw()).items() >= {"id": hit.docid, "title": record["title"]}.items()
        assert document.get("nothing") is None
        assert searcher.doc("nowhere") is None
    with pytest.raises(MismatchError, match="no multi-vector field 'other'"):
        BM25Searcher.from_index(index, node_url, field="other")
