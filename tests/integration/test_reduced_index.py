"""`--reduce` on the real node: stored, found and explained is what the reductions make of the encoder's vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from osmv_here import osmv
from ready_documents import blob, load, write
from small_index import unit

from opensearch_multivector.encoding.encoders import MINILM_INT8, load_encoder
from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.encoding.reductions import REDUCTIONS, DocumentTokens, Reducer, parse_reductions
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.plugin.artifacts import load_state
from opensearch_multivector.plugin.mapping import index_exists, read_spec
from opensearch_multivector.plugin.sub_fields import Codes, Dense
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

TEXTS = {
    "sea": "Sea otters crack mussels with stones while they float on their backs in the kelp.",
    "oven": "The baker preheats the stone oven before sunrise, and the bread is sold by noon.",
    "heart": "Beta-blockers slow the heart and lower the blood pressure of patients with hypertension.",
    "moon": "The moon's gravity raises the tides twice a day.",
    "train": "Night trains between Vienna and Paris are running again after fourteen years.",
    "tea": "Green tea is steeped at eighty degrees, black tea with boiling water.",
}
QUESTIONS = ("what do otters eat", "when is bread sold", "which drug lowers blood pressure", "why are there tides")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(MINILM_INT8)


def texts(*names: str) -> list[dict[str, str]]:
    return [{"id": name, "text": TEXTS[name]} for name in names]


def reducer_of(client: OpenSearch, index: str) -> Reducer:
    spec = load_state(client, read_spec(client, index))
    return Reducer(parse_reductions(spec.reduce), spec.state.get("projection"))


def reduced(reducer: Reducer, encoder: Encoder) -> dict[str, DocumentTokens]:
    encoded = encoder.encode(list(TEXTS.values()), "document")
    return {
        name: reducer.document(DocumentTokens(own.vectors, own.offsets, TEXTS[name]))
        for name, own in zip(TEXTS, encoded, strict=True)
    }


@pytest.mark.parametrize("name", REDUCTIONS)
def test_every_reduction_is_stored_searched_and_explained(
    client: OpenSearch, index_name: str, encoder: Encoder, name: str
) -> None:
    parameters = {"cut": "dim=40", "pca": "dim=40", "leanvec": "dim=40", "count": "vectors=12"}
    reduce = f"{name}:{parameters.get(name, '')}"
    options: dict[str, Any] = {"encoder": encoder, "codec": "f32", "reduce": reduce, "training_queries": QUESTIONS}
    load(client, index_name, texts(*TEXTS), **options)
    reducer = reducer_of(client, index_name)
    expected = reduced(reducer, encoder)
    for doc_id, tokens in expected.items():
        np.testing.assert_allclose(blob(client, index_name, doc_id), tokens.vectors, atol=1e-4)
    searcher = Searcher(client, index_name, encoder=encoder)
    query = "otters with stones"
    vectors = reducer.query(encoder.encode([query], "query")[0].vectors)
    hits = searcher.search(query, size=6, explain=True).hits
    scores = {doc_id: maxsim(vectors, tokens.vectors) for doc_id, tokens in expected.items()}
    assert {hit.doc_id: hit.score for hit in hits} == pytest.approx(scores, rel=1e-4)
    assert hits[0].doc_id == "sea"
    for hit in hits:
        tokens = expected[hit.doc_id]
        assert hit.matches is not None
        assert tokens.offsets is not None
        best = (vectors @ tokens.vectors.T).argmax(axis=1)
        spans = [(start, end) if end else None for start, end in tokens.offsets[best].tolist()]
        assert [match.document_span for match in hit.matches] == spans
        for match in hit.matches:
            if match.document_span:
                assert TEXTS[hit.doc_id][slice(*match.document_span)] == match.document_token
    named = {match.document_token for match in hits[0].matches or () if match.document_span}
    assert any(word in token for token in named for word in ("otter", "stones"))


def test_a_chain_goes_on_with_documents_that_come_later(
    client: OpenSearch, node_url: str, index_name: str, encoder: Encoder, tmp_path: Path
) -> None:
    reduce = "stopwords|pool:factor=2|pca:dim=64"
    told: list[str] = []
    load(
        client,
        index_name,
        texts("sea", "oven", "heart", "moon"),
        encoder=encoder,
        codec="f32",
        reduce=reduce,
        sub_fields=(Dense(), Codes(centroids=16)),
        message=told.append,
    )
    assert sum("training" in sentence for sentence in told) >= 2
    spec = read_spec(client, index_name)
    assert (spec.dim, spec.encoder_dim) == (64, 384)
    assert set(spec.artifacts) == {"projection", "codebook"}
    # The command takes the reductions, like all else, from the index; nothing is trained again.
    later = write(tmp_path / "later.jsonl", [*texts("train", "tea")])
    done = osmv("index", str(later), "--index", index_name, "--json", "--url", node_url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["indexed"] == 2
    assert read_spec(client, index_name) == spec
    for doc_id, tokens in reduced(reducer_of(client, index_name), encoder).items():
        assert 0 < len(tokens.vectors) < 16
        np.testing.assert_allclose(blob(client, index_name, doc_id), tokens.vectors, atol=1e-4)
    searcher = Searcher(client, index_name, encoder=encoder)
    for stage in ("dense", "codes", "bm25"):
        assert searcher.search("green tea water", first_stage=stage, size=1).hits[0].doc_id == "tea"


@pytest.mark.parametrize("other", ["", "pool:factor=3", "pool|cut:dim=8", "cut:dim=8"])
def test_other_reductions_than_the_indexs_are_refused(client: OpenSearch, index_name: str, other: str) -> None:
    load(client, index_name, ready(range(4)), reduce="pool")
    load(client, index_name, ready(range(4, 8)), reduce="pool:factor=2")
    with pytest.raises(MismatchError, match=r"made with.* reductions pool:factor=2"):
        load(client, index_name, ready(range(8, 12)), reduce=other)
    assert client.count(index=index_name)["count"] == 8


def test_queries_are_of_the_encoders_dimension(client: OpenSearch, index_name: str) -> None:
    load(client, index_name, ready(range(30)), reduce="pca:dim=6|pool", codec="f32")
    searcher, reducer = Searcher(client, index_name), reducer_of(client, index_name)
    query = tokens_of(77)
    hits = searcher.search(EncodedQuery(vectors=query, pooled=unit(query.mean(axis=0))), size=30).hits
    scores = {
        f"d{number}": maxsim(reducer.query(query), reducer.document(DocumentTokens(tokens_of(number))).vectors)
        for number in range(30)
    }
    assert {hit.doc_id: hit.score for hit in hits} == pytest.approx(scores, rel=1e-4)
    with pytest.raises(MismatchError, match="vectors have 6 dimensions, the index has 16"):
        searcher.search(EncodedQuery(vectors=reducer.query(query), pooled=unit(query.mean(axis=0))))


@pytest.mark.parametrize(
    ("reduce", "sentence"),
    [
        ("words", "works on the words of texts"),
        ("pool|stopwords", "works on the words of texts"),
        ("cut:dim=17", "vectors have 16 dimensions, 17 can't be kept"),
        ("leanvec:dim=4", "--training-queries"),
        ("pool:factor=x", "whole number"),
        ("fold", "unknown reduction 'fold'"),
    ],
)
def test_what_can_not_be_done_is_refused_before_anything_is_made(
    client: OpenSearch, index_name: str, reduce: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        load(client, index_name, ready(range(4)), reduce=reduce)
    assert not index_exists(client, index_name)


def test_training_queries_come_from_a_file(client: OpenSearch, node_url: str, index_name: str, tmp_path: Path) -> None:
    documents = write(tmp_path / "docs.jsonl", [*texts(*TEXTS)])
    plain = tmp_path / "queries.txt"
    plain.write_text("\n".join(QUESTIONS) + "\n")
    beir = write(tmp_path / "queries.jsonl", [{"_id": str(i), "text": text} for i, text in enumerate(QUESTIONS)])
    for number, queries in enumerate((plain, beir)):
        options = ["--encoder", MINILM_INT8, "--terms", "none", "--reduce", "leanvec:dim=40"]
        name = f"{index_name}-{number}"
        done = osmv(
            "index", str(documents), "--index", name, *options, "--training-queries", str(queries),
            "--url", node_url, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "on 6 documents, 4 queries" in done.stderr
    (one, other) = (read_spec(client, f"{index_name}-{number}").artifacts for number in range(2))
    assert one == other


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "there is no query"),
        (b"good\n{\n", "line 2: no JSON object"),
        (b'{"text": 3}', "line 1"),
        (b"\xff", "read"),
    ],
)
def test_bad_training_queries_are_named(content: bytes, sentence: str, tmp_path: Path) -> None:
    from opensearch_multivector.indexing import read_queries

    path = tmp_path / "queries.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_queries(path)
    with pytest.raises(InputError, match="can't be read"):
        read_queries(tmp_path / "absent")


def tokens_of(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    return unit(rng.normal(size=(int(rng.integers(2, 12)), 16)) + 0.5)


def ready(numbers: range) -> list[dict[str, Any]]:
    return [{"id": f"d{number}", "text": "", "vectors": tokens_of(number).tolist()} for number in numbers]
