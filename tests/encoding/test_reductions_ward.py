"""Ward's clustering against the textbook: merge the cheapest pair, again and again."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.reductions import DocumentTokens, Reducer, parse_reductions, ward
from opensearch_multivector.encoding.reductions.ward import ward as clusters

Partition = set[frozenset[int]]


def unit(seed: int, count: int, dim: int = 6) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dim)) + 0.4
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def partition(groups: np.ndarray) -> Partition:
    return {frozenset(np.flatnonzero(groups == group).tolist()) for group in set(groups.tolist())}


def textbook(vectors: np.ndarray, count: int) -> Partition:
    vectors = vectors.astype(np.float64)
    left = [frozenset([i]) for i in range(len(vectors))]

    def cost(pair: tuple[frozenset[int], frozenset[int]]) -> float:
        a, b = (vectors[sorted(cluster)] for cluster in pair)
        return float(len(a) * len(b) / (len(a) + len(b)) * ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())

    while len(left) > count:
        a, b = min(combinations(left, 2), key=cost)
        left = [cluster for cluster in left if cluster not in (a, b)] + [a | b]
    return set(left)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 24), st.integers(1, 24))
def test_the_partition_is_the_textbooks(seed: int, tokens: int, count: int) -> None:
    vectors = unit(seed, tokens)
    assert partition(clusters(vectors, count)) == textbook(vectors, count)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 6))
def test_the_order_of_tokens_makes_no_difference(seed: int, tokens: int, factor: int) -> None:
    vectors = unit(seed, tokens)
    order = np.random.default_rng(seed).permutation(tokens)
    pool = Reducer(parse_reductions(f"pool:factor={factor}"))
    one = pool.document(DocumentTokens(vectors)).vectors
    other = pool.document(DocumentTokens(vectors[order])).vectors
    assert len(one) == len(other) == -(-tokens // factor)
    nearest = (one @ other.T).argmax(axis=1)
    assert sorted(nearest.tolist()) == list(range(len(one)))
    np.testing.assert_allclose(one, other[nearest], atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 500), st.integers(1, 30))
def test_factor_one_is_the_identity(seed: int, tokens: int) -> None:
    vectors = unit(seed, tokens)
    made = Reducer(parse_reductions("pool:factor=1")).document(DocumentTokens(vectors))
    np.testing.assert_allclose(made.vectors, vectors, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 500), st.integers(1, 40), st.integers(1, 12))
def test_equal_tokens_and_circles_of_equal_costs_end(seed: int, tokens: int, count: int) -> None:
    corners = np.eye(4, dtype=np.float32)[np.random.default_rng(seed).integers(0, 4, tokens)]
    groups = clusters(corners, count)
    assert len(set(groups.tolist())) == min(tokens, count)
    if count >= len(np.unique(corners, axis=0)):
        assert all(len(np.unique(corners[sorted(members)], axis=0)) == 1 for members in partition(groups))


@pytest.mark.parametrize("count", [1, 7, 60, 99, 100])
def test_long_documents_are_clustered_by_windows_to_the_same_number(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ward, "WINDOW", 16)
    vectors = unit(1, 100)
    groups = clusters(vectors, count)
    assert len(groups) == 100
    assert len(set(groups.tolist())) == count


def test_windows_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = unit(1, 200)

    def spread(groups: np.ndarray) -> float:
        return sum(float(vectors[sorted(members)].var(axis=0).sum() * len(members)) for members in partition(groups))

    whole = spread(clusters(vectors, 40))
    monkeypatch.setattr(ward, "WINDOW", 64)
    assert whole <= spread(clusters(vectors, 40)) < 1.2 * whole
