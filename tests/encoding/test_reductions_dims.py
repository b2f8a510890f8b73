"""Reductions of dimensions: what they lose, against what could be lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.reductions import DocumentTokens, Reducer, parse_reductions

DIM = 24


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def fitted(expression: str, documents: np.ndarray, queries: np.ndarray | None = None) -> Reducer:
    reductions = parse_reductions(expression)
    sample = [DocumentTokens(part) for part in np.array_split(documents, 7)]
    return Reducer(reductions, Reducer(reductions).train(sample, [] if queries is None else [queries]))


def products(reducer: Reducer, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    return reducer.query(queries) @ reducer.document(DocumentTokens(documents)).vectors.T


def error(reducer: Reducer, queries: np.ndarray, documents: np.ndarray) -> float:
    return float(((products(reducer, queries, documents) - queries @ documents.T) ** 2).mean())


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 500), st.integers(1, DIM))
def test_pca_loses_nothing_of_a_subspace(seed: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(DIM, dim)))[0].T
    documents, queries = (unit(rng.normal(size=(count, dim)) @ basis) for count in (300, 20))
    reducer = fitted(f"pca:dim={dim}", documents)
    np.testing.assert_allclose(products(reducer, queries, documents), queries @ documents.T, atol=1e-5)


def test_pca_is_the_same_for_the_same_sample_and_orthonormal() -> None:
    documents = unit(np.random.default_rng(1).normal(size=(400, DIM)) * np.linspace(2, 0.1, DIM))
    (first, second) = (
        Reducer(parse_reductions("pca:dim=7")).train(
            [DocumentTokens(part) for part in np.array_split(documents, parts)]
        )
        for parts in (3, 11)
    )
    np.testing.assert_allclose(first["0.matrix"], second["0.matrix"], atol=1e-5)
    np.testing.assert_allclose(first["0.matrix"].T @ first["0.matrix"], np.eye(7), atol=1e-5)


def test_pca_beats_the_cut_where_dimensions_are_mixed() -> None:
    rng = np.random.default_rng(2)
    rotation = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    spread = np.linspace(2, 0.1, DIM)
    documents, queries = (unit((rng.normal(size=(count, DIM)) * spread) @ rotation) for count in (600, 50))
    assert error(fitted("pca:dim=8", documents), queries, documents) < 0.7 * error(
        fitted("cut:dim=8", documents), queries, documents
    )


@pytest.mark.parametrize("seed", range(5))
def test_leanvec_beats_pca_where_queries_look_elsewhere(seed: int) -> None:
    """Documents vary most in some dimensions, queries in others; what neither has much of is not worth keeping."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    of_documents, of_queries = np.full(DIM, 0.5), np.full(DIM, 0.1)
    of_documents[:8], of_queries[8:16] = 1.0, 1.5
    documents, queries, others = (
        unit((rng.normal(size=(count, DIM)) * spread) @ rotation)
        for count, spread in ((1000, of_documents), (200, of_queries), (200, of_queries))
    )
    lean, pca = fitted("leanvec:dim=8", documents, queries), fitted("pca:dim=8", documents)
    assert error(lean, others, documents) < 0.5 * error(pca, others, documents)


def test_leanvec_is_near_pca_where_queries_are_like_documents() -> None:
    rng = np.random.default_rng(3)
    spread = np.linspace(2, 0.1, DIM)
    documents, queries = (unit(rng.normal(size=(count, DIM)) * spread) for count in (2000, 2000))
    lean, pca = fitted("leanvec:dim=8", documents, queries), fitted("pca:dim=8", documents)
    assert error(lean, queries, documents) == pytest.approx(error(pca, queries, documents), rel=0.3)


@pytest.mark.parametrize("few", [1, 5])
def test_leanvec_makes_do_with_few_queries(few: int) -> None:
    rng = np.random.default_rng(4)
    documents, queries = (unit(rng.normal(size=(count, DIM)) + 0.2) for count in (500, few))
    reducer = fitted("leanvec:dim=8", documents, queries)
    assert np.isfinite(products(reducer, unit(rng.normal(size=(50, DIM))), documents)).all()


def test_cut_is_the_cosine_of_the_first_dimensions() -> None:
    rng = np.random.default_rng(5)
    documents, queries = (unit(rng.normal(size=(count, DIM))) for count in (9, 4))
    expected = unit(queries[:, :6]) @ unit(documents[:, :6]).T
    np.testing.assert_allclose(products(fitted("cut:dim=6", documents), queries, documents), expected, atol=1e-6)
