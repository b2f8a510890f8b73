"""Every score against its formula, one document at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.encoding.maxsim import maxsim_blobs
from opensearch_multivector.encoding.scores import SCORES, score_named
from opensearch_multivector.encoding.scores.ot import optimal_transport, transport_plan
from opensearch_multivector.errors import InputError

COUNTS = st.lists(st.integers(0, 7), max_size=6)


def unit(rng: np.random.Generator, count: int, dim: int = 8) -> np.ndarray:
    vectors = rng.normal(size=(count, dim)) + 0.3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def collection(seed: int, counts: Sequence[int], n_query: int = 4) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """A query, documents, and their similarities one after the other."""
    rng = np.random.default_rng(seed)
    query, documents = unit(rng, n_query), [unit(rng, count) for count in counts]
    return np.concatenate([np.zeros((0, 8), np.float32), *documents]) @ query.T, query, documents


def softmax(values: np.ndarray) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum()


def exact_transport(query: np.ndarray, document: np.ndarray) -> float:
    """Aspire's score by a linear program: the least cost over all plans."""
    cost = np.linalg.norm(query[:, None].astype(float) - document[None], axis=2)
    a, b = softmax(-cost.min(axis=1)), softmax(-cost.min(axis=0))
    rows = np.kron(np.eye(len(a)), np.ones(len(b)))
    columns = np.kron(np.ones(len(a)), np.eye(len(b)))
    solved = linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([a, b]))
    assert solved.success
    return -float(solved.fun)


@pytest.mark.parametrize("name", SCORES)
@settings(deadline=None)
@given(seed=st.integers(0, 1000), counts=COUNTS)
def test_documents_do_not_touch_each_other(name: str, seed: int, counts: list[int]) -> None:
    similarities, _, _ = collection(seed, counts)
    scores = SCORES[name](similarities, counts)
    assert scores.dtype == np.float32
    bounds = np.cumsum([0, *counts])
    alone = [SCORES[name](similarities[start:end], [end - start])[0] for start, end in pairwise(bounds)]
    np.testing.assert_allclose(scores, alone, rtol=1e-6, atol=1e-6)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), counts=COUNTS)
def test_max_is_the_best_pair(seed: int, counts: list[int]) -> None:
    similarities, query, documents = collection(seed, counts)
    expected = [max((float(q @ d) for q in query for d in document), default=-1) for document in documents]
    np.testing.assert_allclose(SCORES["max"](similarities, counts), expected, rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), counts=COUNTS, n_query=st.integers(1, 6))
def test_ot_is_the_least_cost_from_below(seed: int, counts: list[int], n_query: int) -> None:
    similarities, query, documents = collection(seed, counts, n_query)
    exact = [exact_transport(query, document) if len(document) else -2 for document in documents]
    for epsilon, iterations in ((0.05, 10), (0.005, 50)):
        scores = optimal_transport(similarities, counts, epsilon=epsilon, iterations=iterations)
        least = np.minimum(counts, n_query)
        assert (scores <= np.array(exact) + 1e-5).all()
        assert (scores >= np.array(exact) - epsilon * np.log(np.maximum(least, 1)) - 2e-3).all()


@settings(deadline=None)
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    epsilon=st.sampled_from([1e-3, 0.05, 3.0]),
    iterations=st.integers(1, 12),
)
def test_a_plan_holds_its_marginals_whatever_has_converged(
    seed: int, shape: tuple[int, int], epsilon: float, iterations: int
) -> None:
    rng = np.random.default_rng(seed)
    n, m = shape
    cost = rng.uniform(0, 2, size=(3, n, m + 2))
    a, b = rng.dirichlet(np.ones(n), 3), np.zeros((3, m + 2))
    b[:, :m] = rng.dirichlet(np.ones(m), 3)
    cost[:, :, m:] = 100
    plan = transport_plan(cost, a, b, epsilon, iterations)
    assert (plan >= 0).all()
    np.testing.assert_allclose(plan.sum(axis=2), a, atol=1e-12)
    np.testing.assert_allclose(plan.sum(axis=1), b, atol=1e-12)


def test_equal_sets_cost_nothing_and_opposite_ones_the_most() -> None:
    vectors = np.eye(3, 8, dtype=np.float32)
    assert optimal_transport(vectors @ vectors.T, [3], epsilon=0.001)[0] == pytest.approx(0, abs=1e-6)
    assert optimal_transport(-np.ones((3, 2), np.float32), [3])[0] == pytest.approx(-2)


def test_padding_weighs_nothing_however_sharp_the_plan() -> None:
    similarities, query, documents = collection(9, [1, 6], 5)
    scores = optimal_transport(similarities, [1, 6], epsilon=2e-4, iterations=50)
    exact = [exact_transport(query, document) for document in documents]
    np.testing.assert_allclose(scores, exact, atol=0.02)


def test_long_and_short_documents_share_no_padding() -> None:
    """Blocks of one document at least, however long it is."""
    counts = [1, 3000, 2, 0, 2000]
    similarities, _, _ = collection(3, counts, n_query=200)
    scores = optimal_transport(similarities, counts, iterations=2)
    bounds = np.cumsum([0, *counts])
    alone = [
        optimal_transport(similarities[start:end], [end - start], iterations=2)[0] for start, end in pairwise(bounds)
    ]
    np.testing.assert_allclose(scores, alone, rtol=1e-5)


@pytest.mark.parametrize("name", SCORES)
def test_stored_documents_are_scored_by_any_of_them(name: str) -> None:
    similarities, query, documents = collection(5, [3, 1, 0, 6])
    scores, errors = maxsim_blobs(query, [encode_blob(document, "f32") for document in documents], score=SCORES[name])
    assert not errors
    np.testing.assert_allclose(scores, SCORES[name](similarities, [3, 1, 0, 6]), rtol=1e-5)


def test_a_query_without_vectors_gets_what_empty_documents_get() -> None:
    nothing = np.zeros((3, 0), np.float32)
    assert [SCORES[name](nothing, [1, 2]).tolist() for name in SCORES] == [[0, 0], [-1, -1], [-2, -2]]


def test_unknown_scores_are_refused() -> None:
    with pytest.raises(InputError, match="sum_max, max, ot"):
        score_named("mean")
