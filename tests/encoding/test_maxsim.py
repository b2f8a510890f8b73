"""MaxSim against a naive reference in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.codecs import CODECS, decode_blob, encode_blob
from opensearch_multivector.encoding.codecs.blob import seal
from opensearch_multivector.encoding.maxsim import alignment, maxsim, maxsim_blobs, sum_of_maxima
from opensearch_multivector.errors import MismatchError
from tests.encoding.tiny_codebooks import tiny_codebook


def naive(query: np.ndarray, document: np.ndarray) -> float:
    if len(document) == 0:
        return 0.0
    total = 0.0
    for q in query.astype(np.float64):
        total += max(float(np.dot(q, d)) for d in document.astype(np.float64))
    return total


def vectors(rng: np.random.Generator, count: int, dim: int) -> np.ndarray:
    return rng.normal(size=(count, dim)).astype(np.float32)


@given(seed=st.integers(0, 10_000), n_query=st.integers(1, 6), count=st.integers(0, 9), dim=st.integers(1, 12))
@settings(max_examples=200, deadline=None)
def test_maxsim_and_alignment_equal_the_reference(seed: int, n_query: int, count: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    query, document = vectors(rng, n_query, dim), vectors(rng, count, dim)
    assert maxsim(query, document) == pytest.approx(naive(query, document), abs=1e-4)
    if count:
        best, similarities = alignment(query, document)
        assert similarities.sum() == pytest.approx(naive(query, document), abs=1e-4)
        np.testing.assert_allclose((query * document[best]).sum(axis=1), similarities, atol=1e-5)


@given(seed=st.integers(0, 10_000), counts=st.lists(st.integers(0, 5), max_size=8))
@settings(max_examples=200, deadline=None)
def test_sum_of_maxima_keeps_documents_apart(seed: int, counts: list[int]) -> None:
    similarities = np.random.default_rng(seed).normal(size=(sum(counts), 3)).astype(np.float32)
    scores = sum_of_maxima(similarities, counts)
    start = 0
    for score, count in zip(scores, counts, strict=True):
        own = similarities[start : start + count]
        assert score == pytest.approx(own.max(axis=0).sum() if count else 0.0, abs=1e-5)
        start += count


@pytest.mark.parametrize("block", [1, 7, 2048])
def test_blobs_of_mixed_codecs_and_sizes_score_as_their_vectors(block: int) -> None:
    rng = np.random.default_rng(3)
    query = vectors(rng, 4, 16)
    documents = [vectors(rng, int(rng.integers(0, 9)), 16) for _ in range(60)]
    codebook = tiny_codebook(16)
    blobs = [encode_blob(document, list(CODECS)[i % len(CODECS)], codebook) for i, document in enumerate(documents)]
    scores, errors = maxsim_blobs(query, blobs, block, codebook)
    assert not errors
    np.testing.assert_allclose(scores, [naive(query, decode_blob(blob, codebook)) for blob in blobs], atol=1e-4)
    exact = [i for i in range(60) if i % len(CODECS) == 0]  # the f32 ones
    np.testing.assert_allclose(scores[exact], [naive(query, documents[i]) for i in exact], atol=1e-4)


def test_a_broken_blob_costs_only_its_own_score() -> None:
    rng = np.random.default_rng(4)
    query = vectors(rng, 2, 8)
    blobs = [encode_blob(vectors(rng, 3, 8), "f32") for _ in range(5)]
    whole, _ = maxsim_blobs(query, blobs)
    blobs[2] = blobs[2][:-1]
    scores, errors = maxsim_blobs(query, blobs)
    assert list(errors) == [2]
    assert np.isnan(scores[2])
    np.testing.assert_array_equal(np.delete(scores, 2), np.delete(whole, 2))


def test_another_dimension_is_refused() -> None:
    with pytest.raises(MismatchError, match="8 dimensions, the stored ones 4"):
        maxsim_blobs(np.ones((1, 8), np.float32), [encode_blob(np.ones((2, 4), np.float32))])


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 3e38])
def test_a_blob_whose_score_is_no_number_is_left_out(number: float) -> None:
    """Whoever seals such a blob with a right checksum would else stand above all others."""
    query, sound = np.ones((2, 4), np.float32), encode_blob(np.ones((1, 4), np.float32), "f32")
    odd = seal(CODECS["f32"].codec_id, 1, 4, np.full(4, number, "<f4").tobytes())
    scores, errors = maxsim_blobs(query, [sound, odd, sound])
    assert errors.keys() == {1}
    assert np.isnan(scores[1])
    assert scores[[0, 2]].tolist() == [8, 8]
