from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.xtr import imputed_scores


def naive(similarities: np.ndarray, k: int) -> list[float]:
    """One document and one query token at a time."""
    scores = []
    for row in similarities:
        total = 0.0
        for i, similarity in enumerate(row):
            best = sorted((s for s in similarities[:, i] if not np.isnan(s)), reverse=True)[:k]
            missing = best[-1] if best else 0.0
            total += similarity if not np.isnan(similarity) and similarity >= missing else missing
        scores.append(total)
    return scores


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 12), st.integers(1, 5), st.integers(1, 15), st.floats(0, 1))
def test_scores_are_the_definition(seed: int, n: int, n_query: int, k: int, gaps: float) -> None:
    rng = np.random.default_rng(seed)
    similarities = rng.normal(size=(n, n_query)).astype(np.float32)
    similarities[rng.random((n, n_query)) < gaps] = np.nan
    assert imputed_scores(similarities, k).tolist() == pytest.approx(naive(similarities, k), abs=1e-5)


def test_a_worked_example() -> None:
    nan = np.nan
    similarities = np.array([[0.9, nan], [0.7, 0.2], [0.8, 0.6], [nan, 0.5]], np.float32)
    # Two best of each token: the first's k-th is .8, the second's .5.
    assert imputed_scores(similarities, 2).tolist() == pytest.approx([0.9 + 0.5, 0.8 + 0.5, 0.8 + 0.6, 0.8 + 0.5])
    assert imputed_scores(similarities, 4).tolist() == pytest.approx([0.9 + 0.2, 0.7 + 0.2, 0.8 + 0.6, 0.7 + 0.5])
