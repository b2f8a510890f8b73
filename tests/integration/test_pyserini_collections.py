"""Collections as Pyserini writes and reads them, texts encoded here: impacts and dense vectors searched as given."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from ready_documents import load

from opensearch_multivector.encoding.encoders import load_encoder
from opensearch_multivector.indexing import Layout
from opensearch_multivector.plugin.sub_fields import Dense
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

IMPACTS: list[dict[str, Any]] = [
    {"id": "7", "contents": "Bees dance.", "vector": {"bee": 122, "##s": 3, "dance": 255}},
    {"id": "8", "contents": "The hive's queen", "vector": {"hive": 90, "queen": 80, "bee": 31}},
    {"id": "9", "contents": "v1.2 of the release", "vector": {"v1.2": 17, "release": 200}},
]


def test_a_json_vector_collection(client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    folder = tmp_path / "unicoil"
    folder.mkdir()
    first, second, third = IMPACTS
    negative = second | {"id": "10", "vector": {"bee": -3}}
    (folder / "docs00.json").write_text(json.dumps([first]))
    (folder / "docs01.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (second, negative)))
    (folder / "docs02.json.gz").write_bytes(gzip.compress(json.dumps(third, indent=2).encode()))
    (folder / "docs03.jsonl.gz").write_bytes(gzip.compress((json.dumps(first) + "\n").encode()))
    layout = Layout(text_field="contents", terms_field="vector")
    dead = tmp_path / "dead.jsonl"
    summary = load(client, index_name, folder, encoder=load_encoder(), layout=layout, dead_letters=dead)
    assert (summary.indexed, summary.rejected) == (3, 2)
    letters = [json.loads(line) for line in dead.read_text().splitlines()]
    assert sorted((letter["line"], letter["doc_id"], letter["reason"]) for letter in letters) == [
        (3, "10", "docs01.jsonl:2: the weight of term 'bee' must be a number from 0 to 3.4e38, not -3"),
        (5, "7", "duplicate of line 1"),
    ]
    query = EncodedQuery(terms=QueryTerms.ready({"bee": 2, "v1.2": 3}))
    hits = Searcher(client, index_name).search(query, first_stage="slim", rerank=None).hits
    # 122 and 31 have nine bits or fewer: the engine holds them exactly.
    assert [(hit.doc_id, hit.score) for hit in hits] == [("7", 244.0), ("8", 62.0), ("9", 51.0)]
    assert hits[0].source == {"id": "7", "contents": "Bees dance."}
    by_text = Searcher(client, index_name).search("queen of the hive", first_stage="bm25", rerank="client").hits
    assert by_text[0].doc_id == "8"


def test_dense_vectors_of_pyserini_encode(client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(3, 16)).astype(np.float32)
    lines = [line | {"vector": vector.tolist()} for line, vector in zip(IMPACTS, vectors, strict=True)]
    folder = tmp_path / "tct_colbert"
    folder.mkdir()
    lines[2]["vector"] = [*lines[2]["vector"], 1.0]
    (folder / "embeddings.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    layout = Layout(text_field="contents", pooled_field="vector")
    summary = load(client, index_name, folder, encoder=load_encoder(), layout=layout, sub_fields=(Dense(dim=16),))
    assert (summary.indexed, summary.rejected) == (2, 1)
    assert "17 dimensions" in summary.rejections[0].reason
    query = EncodedQuery(pooled=vectors[1])
    hits = Searcher(client, index_name).search(query, first_stage="dense", rerank=None).hits
    assert [hit.doc_id for hit in hits] == ["8", "7"]
