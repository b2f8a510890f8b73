from __future__ import annotations

import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.comparison import significance
from opensearch_multivector.evaluation.comparison.significance import (
    bootstrap_interval,
    corrected,
    randomisation_test,
    t_test,
)

# Student's sleep data (1908), hours gained by ten patients with either drug: published t = -4.0621, p = .002833.
SLEEP = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]) - np.array(
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
)


def test_students_own_data() -> None:
    pytest.importorskip("scipy")
    assert t_test(SLEEP) == pytest.approx(0.002833, abs=5e-7)
    assert t_test(-SLEEP) == t_test(SLEEP)


def test_without_spread_there_is_no_t() -> None:
    pytest.importorskip("scipy")
    assert t_test(np.zeros(5)) == 1.0
    assert t_test(np.full(5, 0.1)) == 0.0
    assert t_test(np.array([0.3])) is None


def test_without_scipy_the_t_test_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    assert t_test(SLEEP) is None


def test_every_assignment_of_signs_is_counted() -> None:
    # By hand: |sum| >= 6 for +++ and ---, |sum| >= 4 besides for the two with 1 turned.
    assert randomisation_test(np.array([1.0, 2.0, 3.0])) == 2 / 8
    assert randomisation_test(np.array([-1.0, 2.0, 3.0, 0.0])) == 4 / 8
    assert randomisation_test(np.zeros(3)) == 1.0
    sums = [abs(np.dot(signs, SLEEP)) for signs in product((-1, 1), repeat=len(SLEEP))]
    assert randomisation_test(SLEEP) == np.mean(np.array(sums) >= abs(SLEEP.sum()) - 1e-9)


def test_drawn_signs_come_near_all_signs() -> None:
    everything = randomisation_test(SLEEP)
    drawn = randomisation_test(SLEEP, samples=400, seed=3)
    assert drawn != everything
    assert drawn == pytest.approx(everything, abs=0.01)
    assert drawn == randomisation_test(SLEEP, samples=400, seed=3)
    assert randomisation_test(np.ones(100), samples=99) == 1 / 100


def test_portions_do_not_change_the_number_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "_CELLS", 700)
    assert randomisation_test(np.ones(100), samples=99) == 1 / 100
    low, high = bootstrap_interval(SLEEP, samples=501)
    assert low < SLEEP.mean() < high


def test_the_interval_agrees_with_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    differences = np.random.default_rng(1).normal(0.02, 0.1, 200)
    theirs = stats.bootstrap((differences,), np.mean, method="percentile", n_resamples=20_000, rng=5)
    ours = bootstrap_interval(differences, samples=20_000)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=5e-4)
    narrower = bootstrap_interval(differences, level=0.5, samples=20_000)
    assert ours[0] < narrower[0] < narrower[1] < ours[1]
    assert bootstrap_interval(np.zeros(4)) == (0.0, 0.0)


def test_corrections_by_hand() -> None:
    p_values = [0.04, 0.01, 0.03]
    assert corrected(p_values, "holm") == pytest.approx([0.06, 0.03, 0.06])
    assert corrected(p_values, "bonferroni") == pytest.approx([0.12, 0.03, 0.09])
    assert corrected(p_values, "none") == p_values
    assert corrected([0.5, 0.6]) == [1.0, 1.0]
    assert corrected([]) == []
    with pytest.raises(InputError, match="'sidak' is no correction; there are holm, bonferroni, none"):
        corrected(p_values, "sidak")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_nothing_and_bonferroni(p_values: list[float]) -> None:
    for plain, holm, bonferroni in zip(p_values, corrected(p_values), corrected(p_values, "bonferroni"), strict=True):
        assert plain <= holm <= bonferroni <= 1
