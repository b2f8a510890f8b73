from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.encoders.pooling import mean_pooled
from opensearch_multivector.encoding.views import document_views


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 6), st.integers(1, 9))
def test_views_are_at_most_so_many_directions(seed: int, n: int, count: int, dim: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    views = document_views(vectors, count)
    assert 1 <= len(views) <= min(count, n)
    np.testing.assert_allclose(np.linalg.norm(views, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(views, document_views(vectors, count))


def test_each_subject_of_a_text_has_its_view() -> None:
    rng = np.random.default_rng(4)
    subjects = np.eye(3, 16, dtype=np.float32)
    vectors = np.repeat(subjects, [20, 5, 9], axis=0) + rng.normal(size=(34, 16)).astype(np.float32) * 0.05
    similarities = document_views(vectors, 3) @ subjects.T
    assert (similarities.max(axis=0) > 0.98).all()
    # The pooled vector of the whole is nearer to the subject that most words are about.
    assert (mean_pooled(vectors) @ subjects.T)[1] < 0.5


def test_rows_of_zeros_are_no_view() -> None:
    vectors = np.array([[0, 0], [3, 4]], np.float32)
    np.testing.assert_allclose(document_views(vectors, 4), [[0.6, 0.8]], atol=1e-6)
    np.testing.assert_array_equal(document_views(vectors[:1], 4), [[0, 0]])
