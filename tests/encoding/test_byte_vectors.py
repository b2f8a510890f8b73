from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.byte_vectors import query_bytes, stored_bytes


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 20), st.sampled_from([0.5, 1.0, 3.0]))
def test_bytes_are_within_half_a_step_of_the_components(seed: int, dim: int, limit: float) -> None:
    vectors = np.random.default_rng(seed).uniform(-limit, limit, (4, dim)).astype(np.float32)
    np.testing.assert_allclose(stored_bytes(vectors, limit) * (limit / 127), vectors, atol=limit / 254 * 1.001)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(8, 64))
def test_inner_products_come_back(seed: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    document, query = rng.uniform(-1, 1, (2, dim)).astype(np.float32)
    codes, scale = query_bytes(query)
    product = scale * int(codes.astype(int) @ stored_bytes(document).astype(int))
    # Each component is off by at most 1/254 of its side's range.
    bound = (np.abs(query).sum() + np.abs(document).sum() * np.abs(query).max()) / 254 + dim / 254**2
    assert product == pytest.approx(float(document @ query), abs=float(bound) * 1.01)


def test_what_is_beyond_the_limit_is_cut() -> None:
    assert stored_bytes(np.array([-7.0, 1.0, 0.0, 2.0], np.float32), 2.0).tolist() == [-127, 64, 0, 127]


def test_a_query_of_zeros_scores_zero() -> None:
    codes, scale = query_bytes(np.zeros(3, np.float32))
    assert codes.tolist() == [0, 0, 0]
    assert scale == 0
