from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.comparison.overlap import overlap_at, overlaps, rank_biased_overlap

RANKINGS = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


def test_rbo_by_hand() -> None:
    # Agreement by depth 0, 1, 2/3; after that it stays 2/3: (1 - p)(0 + p + 2/3 p^2) + 2/3 p^3.
    assert rank_biased_overlap("abc", "bad", 0.5) == pytest.approx(0.5 * (0.5 + 0.25 * 2 / 3) + 0.125 * 2 / 3)
    assert rank_biased_overlap("abc", "xyz", 0.9) == 0
    assert rank_biased_overlap("", "a") == 0
    assert rank_biased_overlap("", "") == 1


def test_rbo_of_rankings_of_different_length() -> None:
    # Equation 32 with S = a, L = abc, p = 1/2: X_d = 1 at all depths, s = 1, l = 3. Sum of X_d/d p^d is 1/2 + 1/8 +
    # 1/24; of X_s (d - s)/(s d) p^d it is 1/8 + 1/12; the rest ((1 - 1)/3 + 1) p^3. All agree as far as is known.
    expected = (0.5 / 0.5) * (1 / 2 + 1 / 8 + 1 / 24 + 1 / 8 + 1 / 12) + 1 / 8
    assert expected == pytest.approx(1)
    assert rank_biased_overlap("a", "abc", 0.5) == pytest.approx(expected)
    # S = ax, L = bac: X = 0, 1, 1; s = 2, l = 3: sums 0 + 1/8 + 1/24 and 1 * 1/6 * 1/8; the rest (0/3 + 1/2) / 8.
    assert rank_biased_overlap("ax", "bac", 0.5) == pytest.approx(1 / 8 + 1 / 24 + 1 / 48 + 1 / 16)


@given(RANKINGS, RANKINGS, st.floats(0.05, 0.95))
def test_rbo_is_symmetric_between_0_and_1_and_1_for_the_same(one: list[str], other: list[str], p: float) -> None:
    value = rank_biased_overlap(one, other, p)
    assert -1e-12 <= value <= 1 + 1e-12
    assert value == pytest.approx(rank_biased_overlap(other, one, p))
    assert rank_biased_overlap(one, one, p) == pytest.approx(1)


def test_overlap_by_hand() -> None:
    assert overlap_at("abcd", "dcxa", 4) == 3 / 4
    assert overlap_at("abcd", "dcxa", 2) == 0
    assert overlap_at("ab", "abc", 10) == 2 / 3
    assert overlap_at("", "", 10) == 1


def test_pairs_of_runs() -> None:
    runs = {
        "A": {"1": [("a", 2.0), ("b", 1.0)], "2": [("c", 1.0)]},
        "B": {"1": [("b", 2.0), ("a", 1.0)], "2": [("c", 9.0)]},
        "C": {"1": [("a", 2.0), ("b", 1.0)]},
    }
    found = overlaps(runs, 2)
    assert [(each.first, each.second, each.topics) for each in found] == [("A", "B", 2), ("A", "C", 2), ("B", "C", 2)]
    assert [each.overlap for each in found] == [1.0, 0.5, 0.5]
    assert [each.same_order for each in found] == [1, 1, 0]
    assert found[1].rbo == pytest.approx(0.5)
    assert [each.overlap for each in overlaps(runs, 1)] == [0.5, 0.5, 0.0]
    (turned,) = overlaps({name: runs[name] for name in "CA"}, 2)
    assert (turned.topics, turned.overlap, turned.rbo) == (2, 0.5, found[1].rbo)


@pytest.mark.parametrize(("depth", "persistence"), [(0, 0.9), (10, 0.0), (10, 1.0)])
def test_what_is_out_of_range_is_said(depth: int, persistence: float) -> None:
    with pytest.raises(InputError, match=r"depth is 0|between 0 and 1"):
        overlaps({}, depth, persistence)
