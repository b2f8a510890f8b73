"""BM25's parameters and the analyzer of an index, against BM25's formula."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import Any

import pytest
from node_under_test import RELEASE
from opensearchpy import OpenSearch
from osmv_here import osmv
from ready_documents import load, write

from opensearch_multivector.errors import ClusterError, InputError, MismatchError
from opensearch_multivector.indexing import Bm25Parameters
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

# Lengths that Lucene's norms, one byte each, keep exactly.
TEXTS = {"a": "bee bee hive", "b": "bee queen comb wax honey dance sun", "c": "hive", "d": "bee " * 5 + "wax " * 20}
DOCUMENTS: list[dict[str, Any]] = [{"id": doc_id, "text": text.strip()} for doc_id, text in TEXTS.items()]


def bm25(query: str, k1: float, b: float) -> dict[str, float]:
    """Robertson's formula with Lucene's idf, since 3.0 without its constant k1 + 1; of those that match."""
    words = {doc_id: text.split() for doc_id, text in TEXTS.items()}
    average = sum(map(len, words.values())) / len(words)
    scores: dict[str, float] = {}
    for term in query.split():
        df = sum(term in own for own in words.values())
        idf = log(1 + (len(words) - df + 0.5) / (df + 0.5))
        for doc_id, own in words.items():
            if tf := own.count(term):
                part = idf * tf / (tf + k1 * (1 - b + b * len(own) / average))
                scores[doc_id] = scores.get(doc_id, 0) + part * (1 if RELEASE >= (3, 0) else k1 + 1)
    return scores


def found(client: OpenSearch, index: str, query: str) -> dict[str, float]:
    hits = Searcher(client, index).search(query, first_stage="bm25", rerank=None).hits
    return {hit.doc_id: hit.score for hit in hits}


@pytest.mark.parametrize("parameters", [None, Bm25Parameters(0.9, 0.4), Bm25Parameters(2.0, 0.0)])
def test_scores_are_the_formulas(client: OpenSearch, index_name: str, parameters: Bm25Parameters | None) -> None:
    load(client, index_name, DOCUMENTS, no_vectors=True, bm25=parameters)
    used = parameters or Bm25Parameters(1.2, 0.75)
    for query in ("bee", "hive wax", "bee sun"):
        assert found(client, index_name, query) == pytest.approx(bm25(query, used.k1, used.b), rel=1e-5)


def test_the_analyzer(client: OpenSearch, index_name: str) -> None:
    for analyzer, expected in ((None, {"a", "b", "d"}), ("whitespace", set())):
        index = f"{index_name}-{analyzer or 'usual'}"
        load(client, index, DOCUMENTS, no_vectors=True, analyzer=analyzer)
        assert found(client, index, "Bees").keys() == expected
    with pytest.raises(ClusterError, match=r"analyzer \[klingon\]"):
        load(client, f"{index_name}-none", DOCUMENTS, no_vectors=True, analyzer="klingon")


def test_an_index_keeps_what_it_was_made_with(client: OpenSearch, index_name: str) -> None:
    load(client, index_name, DOCUMENTS, no_vectors=True, bm25=Bm25Parameters(0.9, 0.4))
    for same in ({}, {"bm25": Bm25Parameters(0.9, 0.4), "analyzer": "english"}):
        load(client, index_name, DOCUMENTS, no_vectors=True, **same)
    with pytest.raises(MismatchError, match=r"BM25 of k1 0\.9 and b 0\.4 and analyzer 'english'"):
        load(client, index_name, DOCUMENTS, no_vectors=True, bm25=Bm25Parameters(), analyzer="standard")
    usual = f"{index_name}-usual"
    load(client, usual, DOCUMENTS, no_vectors=True)
    load(client, usual, DOCUMENTS, no_vectors=True, bm25=Bm25Parameters())
    with pytest.raises(MismatchError, match=r"BM25 of k1 1\.2 and b 0\.75: leave"):
        load(client, usual, DOCUMENTS, no_vectors=True, bm25=Bm25Parameters(0.9, 0.4))


@pytest.mark.parametrize(("k1", "b"), [(-0.1, 0.4), (float("inf"), 0.4), (float("nan"), 0.4), (0.9, -1.0), (0.9, 1.1)])
def test_impossible_parameters(k1: float, b: float) -> None:
    with pytest.raises(InputError, match="of BM25 is a number from 0"):
        Bm25Parameters(k1, b)


def test_the_command(node_url: str, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    """Of k1 and b the one that is not given has its default."""
    write(tmp_path / "docs.jsonl", list(DOCUMENTS))
    arguments = ("docs.jsonl", "--url", node_url, "--index", index_name, "--no-vectors", "--analyzer", "whitespace")
    done = osmv("index", *arguments, "--bm25-k1", "0.5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert found(client, index_name, "hive wax") == pytest.approx(bm25("hive wax", 0.5, 0.75), rel=1e-5)
    refused = osmv("index", *arguments, "--bm25-b", "0.4", cwd=tmp_path)
    assert (refused.returncode, "BM25 of k1 0.5 and b 0.75" in " ".join(refused.stderr.split())) == (4, True)
    wrong = osmv("index", *arguments, "--bm25-b", "7", cwd=tmp_path)
    assert (wrong.returncode, "b of BM25" in wrong.stderr) == (2, True)
