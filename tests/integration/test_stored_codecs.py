"""Codecs on the real node: residual ones over a codebook that the run trains, `bit` before int8."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from ready_documents import load
from small_index import unit

from opensearch_multivector.encoding.codebook_training import train_codebook
from opensearch_multivector.encoding.codecs import decode_blob, encode_blob
from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.plugin.artifacts import load_state
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.mapping import read_spec
from opensearch_multivector.plugin.sub_fields import Bits, Dense
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

DIM = 24
COUNT = 40


def vectors_of(number: int) -> np.ndarray:
    """Tokens around a few directions, as words are."""
    directions = np.random.default_rng(77).normal(size=(20, DIM))
    rng = np.random.default_rng(number)
    own = directions[rng.integers(0, 20, int(rng.integers(2, 12)))]
    return unit(own + 0.2 * rng.normal(size=own.shape))


VECTORS = {f"d{number}": vectors_of(number) for number in range(COUNT)}
QUERY = EncodedQuery(vectors=vectors_of(1001)[:4], pooled=unit(vectors_of(1001).mean(axis=0)))


def documents(first: int = 0, end: int = COUNT) -> list[dict[str, Any]]:
    return [{"id": f"d{i}", "text": "", "vectors": VECTORS[f"d{i}"].tolist()} for i in range(first, end)]


def spec_of(client: OpenSearch, index: str) -> FieldSpec:
    return load_state(client, read_spec(client, index))


def expected(codec: str, spec: FieldSpec | None = None) -> dict[str, float]:
    """MaxSim of what a codec gives back."""
    codebook = spec.codebook if spec else None
    assert QUERY.vectors is not None
    return {
        doc_id: maxsim(QUERY.vectors, decode_blob(encode_blob(vectors, codec, codebook), codebook))
        for doc_id, vectors in VECTORS.items()
    }


def assert_ranked(hits: list[Any], scores: dict[str, float]) -> None:
    assert {hit.doc_id: hit.score for hit in hits} == pytest.approx({hit.doc_id: scores[hit.doc_id] for hit in hits})
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("codec", ["int4", "residual2"])
def test_a_codec_is_stored_and_ranks_by_what_it_gives_back(client: OpenSearch, index_name: str, codec: str) -> None:
    assert load(client, index_name, documents(0, 30), codec=codec).indexed == 30
    spec = spec_of(client, index_name)
    assert ("codebook" in spec.artifacts) == (codec == "residual2")
    # Documents that come later are stored with the codebook that there is.
    assert load(client, index_name, documents(30), codec=codec).indexed == COUNT - 30
    assert spec_of(client, index_name).artifacts == spec.artifacts
    searcher = Searcher(client, index_name)
    hits = searcher.search(QUERY, size=COUNT, explain=True).hits
    assert len(hits) == COUNT
    assert_ranked(hits, expected(codec, spec))
    for hit in hits:
        assert sum(match.similarity for match in hit.matches) == pytest.approx(hit.score, rel=1e-4)
    if spec.codebook is not None:
        a_foreign_blob_costs_only_its_own_score(client, index_name, spec, searcher)


def a_foreign_blob_costs_only_its_own_score(
    client: OpenSearch, index: str, spec: FieldSpec, searcher: Searcher
) -> None:
    other = train_codebook(np.concatenate([*VECTORS.values()])[::-1], 16, tokens_per_document=5)
    foreign = base64.b64encode(encode_blob(VECTORS["d3"], "residual2", other)).decode()
    body = {"mv.vectors": foreign, "mv.dense": unit(VECTORS["d3"].mean(axis=0)).tolist()}
    client.index(index=index, id="d3", body=body, params={"refresh": "true"})
    result = searcher.search(QUERY, size=COUNT, rerank="client")
    assert {hit.doc_id for hit in result.hits} == set(VECTORS) - {"d3"}
    assert list(result.skipped) == ["d3"]
    assert f"written with codebook {other.id}, the index has {spec.artifacts['codebook']}" in result.skipped["d3"]


@pytest.fixture(scope="module")
def with_bits(client: OpenSearch) -> Iterator[str]:
    name = "osmv-test-bits"
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    load(client, name, documents(), codec="int8", sub_fields=(Dense(), Bits()))
    yield name
    client.indices.delete(index=name)


class TestTwoLevels:
    def test_bit_alone_ranks_by_its_estimates(self, client: OpenSearch, with_bits: str) -> None:
        hits = Searcher(client, with_bits).search(QUERY, rerank="bit", size=COUNT).hits
        assert len(hits) == COUNT
        assert_ranked(hits, expected("bit"))

    def test_the_chain_scores_only_the_best_of_bit(self, client: OpenSearch, with_bits: str) -> None:
        estimates = expected("bit")
        best = sorted(estimates, key=lambda doc_id: -estimates[doc_id])[:15]
        hits = Searcher(client, with_bits).search(QUERY, rerank="bit:keep=15>client", size=15).hits
        assert {hit.doc_id for hit in hits} == set(best)
        assert_ranked(hits, expected("int8"))

    def test_documents_without_bits_are_left_out_and_named(self, client: OpenSearch, with_bits: str) -> None:
        bare = {"mv.dense": unit(VECTORS["d5"].mean(axis=0)).tolist()}
        client.index(index=with_bits, id="bare", body=bare, params={"refresh": "true"})
        result = Searcher(client, with_bits).search(QUERY, rerank="bit:keep=60>client", size=COUNT + 1)
        assert len(result.hits) == COUNT
        assert list(result.skipped) == ["bare"]
        assert "has no bits" in result.skipped["bare"]
