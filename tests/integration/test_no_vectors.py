"""An index without token vectors: BM25, term weights, ready pooled vectors are searched; what reads vectors is not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from node_under_test import needs_seismic
from opensearchpy import OpenSearch
from osmv_here import osmv
from ready_documents import document, load

from opensearch_multivector.cli.doctor import check_index
from opensearch_multivector.encoding.encoders import load_encoder
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.indexing import Layout
from opensearch_multivector.indexing.export import export_vectors
from opensearch_multivector.plugin.mapping import read_spec
from opensearch_multivector.plugin.sub_fields import Bits, Codes, Dense, Seismic, Slim, SubField
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

TEXTS: list[dict[str, Any]] = [
    {"id": "1", "text": "Bees dance on the comb."},
    {"id": "2", "text": "The queen of the hive"},
    {"id": "3", "text": ""},
]
WEIGHTS: list[dict[str, float]] = [{"bee": 122, "dance": 255}, {"hive": 90, "bee": 31}, {"bee": 200}]
VECTOR = EncodedQuery(text="bees", vectors=np.ones((1, 4), np.float32), pooled=np.ones(4, np.float32))


def test_texts_alone(client: OpenSearch, index_name: str) -> None:
    summary = load(client, index_name, TEXTS, no_vectors=True)
    assert (summary.indexed, summary.rejected, summary.vector_bytes) == (2, 1, 0)
    assert summary.rejections[0].reason == "text is empty"
    spec = read_spec(client, index_name)
    assert (spec.vectors, spec.dim, spec.codec, spec.sub_fields) == (None, 0, "", ())
    properties = client.indices.get_mapping(index=index_name)[index_name]["mappings"]["properties"]
    assert properties["mv"] == {"properties": {"text": {"type": "text", "analyzer": "english"}}}

    searcher = Searcher(client, index_name)
    # Rerank "auto" is the default: there is nothing to rerank by.
    (hit,) = searcher.search("dancing bees", first_stage="bm25").hits
    assert (hit.doc_id, hit.source) == ("1", TEXTS[0])
    assert hit.score == hit.first_stage_score
    (many,) = searcher.search_many(["dancing bees"], first_stage="bm25", rerank="auto")
    assert [hit.doc_id for hit in many.hits] == ["1"]

    # A later run finds out that the index is so.
    load(client, index_name, [{"id": "4", "text": "A bee"}], no_vectors=True)
    assert {hit.doc_id for hit in searcher.search("bee", first_stage="bm25").hits} == {"1", "4"}


@pytest.mark.parametrize(
    ("query", "options", "reason"),
    [
        ("bees", {"first_stage": "bm25", "rerank": "client"}, "rerank 'client' needs token vectors.*rerank none"),
        ("bees", {"first_stage": "bm25", "rerank": "native"}, "rerank 'native' needs token vectors.*--no-vectors"),
        ("bees", {"first_stage": "bm25", "rerank": "bit:keep=50>auto"}, "rerank 'bit' needs token vectors"),
        (VECTOR, {"first_stage": "bm25", "rerank": "client"}, "rerank 'client' needs token vectors"),
        ("bees", {"first_stage": "bm25", "explain": True}, "explain needs token vectors"),
        ("bees", {"first_stage": "dense"}, r"mv\.dense, .*--sub-field dense and without --no-vectors"),
        (VECTOR, {"first_stage": "codes", "rerank": None}, "--sub-field codes and without --no-vectors"),
        ("bees", {"first_stage": "slim", "rerank": None}, r"mv\.slim, .*index with --sub-field slim$"),
    ],
)
def test_what_reads_token_vectors_is_refused(
    client: OpenSearch, index_name: str, query: Any, options: dict[str, Any], reason: str
) -> None:
    load(client, index_name, TEXTS[:2], no_vectors=True)
    with pytest.raises(MismatchError, match=reason):
        Searcher(client, index_name).search(query, **options)
    with pytest.raises(MismatchError, match=reason):
        Searcher(client, index_name).search_many([query], **options)


def test_other_users_of_token_vectors_say_so(client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    load(client, index_name, TEXTS[:2], no_vectors=True)
    with pytest.raises(MismatchError, match="an export of token vectors needs token vectors"):
        export_vectors(client, index_name, tmp_path, "npz")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MismatchError, match="an encoder needs token vectors"):
        Searcher(client, index_name, encoder=load_encoder())
    checks = check_index(client, index_name)
    assert [(check.state, check.found) for check in checks] == [
        ("ok", "2 documents, made without vectors"),
        ("ok", "none"),
    ]


def test_the_async_searcher(node_url: str, client: OpenSearch, index_name: str) -> None:
    pytest.importorskip("aiohttp")
    from opensearch_multivector.plugin.connection import connect_async
    from opensearch_multivector.queries.async_searcher import AsyncSearcher

    load(client, index_name, TEXTS[:2], no_vectors=True)

    async def search() -> list[str]:
        async with connect_async(node_url) as opened:
            searcher = await AsyncSearcher.open(opened, index_name)
            with pytest.raises(MismatchError, match="rerank 'client' needs"):
                await searcher.search("bees", first_stage="bm25", rerank="client")
            return [hit.doc_id for hit in (await searcher.search("bees", first_stage="bm25")).hits]

    assert asyncio.run(search()) == ["1"]


def test_weights_and_pooled_vectors_that_come_ready(client: OpenSearch, index_name: str) -> None:
    vectors = np.random.default_rng(3).normal(size=(3, 8)).astype(np.float32)
    documents = [
        text | {"weights": weights, "embedding": vector.tolist()}
        for text, weights, vector in zip(TEXTS, WEIGHTS, vectors, strict=True)
    ]
    layout = Layout(terms_field="weights", pooled_field="embedding")
    sub_fields = (Slim(keep=True), Dense(dim=8))
    # The third has no text, but what it is searched by.
    summary = load(client, index_name, documents, no_vectors=True, layout=layout, sub_fields=sub_fields)
    assert (summary.indexed, summary.rejected) == (3, 0)
    searcher = Searcher(client, index_name)
    terms = EncodedQuery(terms=QueryTerms.ready({"bee": 2}))
    assert [(hit.doc_id, hit.score) for hit in searcher.search(terms, first_stage="slim").hits] == [
        ("3", 400.0),
        ("1", 244.0),
        ("2", 62.0),
    ]
    dense = searcher.search(EncodedQuery(pooled=vectors[1]), first_stage="dense").hits
    assert [hit.doc_id for hit in dense] == [str(i + 1) for i in np.argsort(-(vectors @ vectors[1]))]
    both = EncodedQuery(text="hive", terms=QueryTerms.ready({"bee": 1}), pooled=vectors[1])
    assert len(searcher.search(both, first_stage="bm25+slim+dense").hits) == 3
    with pytest.raises(InputError, match="ready-made"):
        searcher.search("bees", first_stage="dense")
    # There is no term encoder to load.
    assert {check.state for check in check_index(client, index_name)} == {"ok"}


def test_an_indexs_own_terms(client: OpenSearch, index_name: str) -> None:
    """SLIM's terms are made of the texts, and its exact rerank reads terms, not vectors."""
    pytest.importorskip("torch")
    pytest.importorskip("cognition")
    from opensearch_multivector.encoding.encoders import load_term_encoder
    from opensearch_multivector.plugin.sub_fields import TokenTerms

    load(
        client,
        index_name,
        TEXTS,
        no_vectors=True,
        term_encoder=load_term_encoder(),
        sub_fields=(Slim(), TokenTerms()),
    )
    searcher = Searcher(client, index_name)
    for rerank in ("auto", "slim"):
        hits = searcher.search("queen of the hive", first_stage="slim", rerank=rerank).hits
        assert hits[0].doc_id == "2", rerank


@pytest.mark.parametrize("sub_field", [Dense(), Codes(), Bits()])
def test_sub_fields_of_token_vectors_are_refused(client: OpenSearch, index_name: str, sub_field: SubField) -> None:
    with pytest.raises(InputError, match=f"sub-field '{sub_field.name}' is made by the token vectors' encoder"):
        load(client, index_name, TEXTS, no_vectors=True, sub_fields=(sub_field,))
    assert not client.indices.exists(index=index_name)


@needs_seismic
def test_seismic_without_vectors(client: OpenSearch, index_name: str) -> None:
    documents = [text | {"weights": weights} for text, weights in zip(TEXTS, WEIGHTS, strict=True)]
    layout = Layout(terms_field="weights")
    load(client, index_name, documents, no_vectors=True, layout=layout, sub_fields=(Seismic(ceiling=255),))
    terms = EncodedQuery(terms=QueryTerms.ready({"bee": 2}))
    hits = Searcher(client, index_name).search(terms, first_stage="seismic").hits
    assert [hit.doc_id for hit in hits] == ["3", "1", "2"]


def test_it_is_one_way_or_the_other(client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "vectors.npz", d1=np.ones((1, 4), np.float32))
    for options in ({"encoder": load_encoder()}, {"vectors": tmp_path / "vectors.npz"}, {"reduce": "pool:factor=2"}):
        with pytest.raises(InputError, match="has no use for"):
            load(client, index_name, TEXTS, no_vectors=True, **options)
    with pytest.raises(InputError, match="holds token vectors alone"):
        load(client, index_name, tmp_path / "vectors.npz", no_vectors=True)
    load(client, f"{index_name}-with", [document(1)], sub_fields=())
    with pytest.raises(MismatchError, match=r"with encoder ready .*, this run none.*codec int8, this run none"):
        load(client, f"{index_name}-with", TEXTS, no_vectors=True)
    load(client, index_name, TEXTS[:1], no_vectors=True)
    with pytest.raises(MismatchError, match="was made with encoder none, this run ready"):
        load(client, index_name, [document(1)], sub_fields=())


def test_the_command(node_url: str, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    lines = [{"id": "7", "contents": "Bees dance."}, {"id": "8", "contents": "The hive's queen"}]
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    common = ("docs.jsonl", "--url", node_url, "--index", index_name)
    options = ("--text-field", "contents", "--no-vectors", "--bm25-k1", "0.9", "--bm25-b", "0.4")
    done = osmv("index", *common, *options, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["indexed"] == 2
    # What the index was made with need not be said again.
    again = osmv("index", *common, "--restart", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "bytes of token vectors" not in again.stdout
    for wrong, code, reason in (
        (("--encoder", "ready"), 2, "no use for --encoder"),
        (("--codec", "int4"), 2, "no use for --codec"),
    ):
        refused = osmv("index", *common, "--no-vectors", *wrong, cwd=tmp_path)
        assert (refused.returncode, reason in " ".join(refused.stderr.split())) == (code, True), refused.stderr
