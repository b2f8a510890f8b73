"""Gaussian documents against the Kullback-Leibler divergence itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.gaussian import (
    gaussian_document,
    gaussian_query,
    gaussian_size,
    mean_and_variance,
)


def divergence(query: np.ndarray, document: np.ndarray, floor: float) -> float:
    """KL(query || document) of two diagonal normal distributions as in any textbook, dimension by dimension."""
    (mq, vq), (md, vd) = mean_and_variance(query, floor), mean_and_variance(document, floor)
    total = 0.0
    for m1, s1, m2, s2 in zip(mq, np.sqrt(vq), md, np.sqrt(vd), strict=True):
        total += np.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5
    return float(total)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 12), st.sampled_from([0.1, 1.0, 3.0]))
def test_inner_products_are_negative_divergences_up_to_a_constant(seed: int, n: int, dim: int, floor: float) -> None:
    rng = np.random.default_rng(seed)
    query = rng.normal(size=(n, dim)).astype(np.float32)
    documents = [rng.normal(size=(int(rng.integers(1, 7)), dim)).astype(np.float32) for _ in range(8)]
    encoded = gaussian_query(query, floor).astype(np.float64)
    assert len(encoded) == gaussian_size(dim)
    mean, variance = mean_and_variance(query, floor)
    least = floor / dim
    constant = 0.5 * least * (1 + np.log(variance / least)).sum() - 0.5 * (variance + mean**2).sum()
    for document in documents:
        score = float(encoded @ gaussian_document(document, floor).astype(np.float64)) + constant
        assert score == pytest.approx(-least * divergence(query, document, floor), rel=1e-4, abs=1e-3)


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 64), st.sampled_from([0.01, 0.3, 1.0]))
def test_documents_of_unit_vectors_have_one_length(seed: int, n: int, dim: int, floor: float) -> None:
    """What a graph of neighbours needs: of equal lengths, the largest inner product is the nearest."""
    rows = np.random.default_rng(seed).normal(size=(n, dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.linalg.norm(gaussian_document(rows.astype(np.float32), floor)) == pytest.approx(1.5, abs=1e-5)


def test_they_rank_as_the_divergence_does() -> None:
    rng = np.random.default_rng(2)
    documents = [
        rng.normal(size=(12, 32)).astype(np.float32) * rng.uniform(0.3, 2, 32).astype(np.float32) + 0.3
        for _ in range(60)
    ]
    query = documents[3][:6] + np.float32(0.1)
    scores = np.array([gaussian_document(document) @ gaussian_query(query) for document in documents])
    expected = np.array([-divergence(query, document, 1.0) for document in documents])
    np.testing.assert_array_equal(np.argsort(-scores), np.argsort(-expected))


def test_a_text_of_one_token_has_the_least_variance() -> None:
    mean, variance = mean_and_variance(np.array([[3.0, 4.0]], np.float32), 1.0)
    np.testing.assert_array_equal(mean, [3, 4])
    np.testing.assert_array_equal(variance, [0.5, 0.5])
    assert np.isfinite(gaussian_document(np.array([[3.0, 4.0]], np.float32))).all()
