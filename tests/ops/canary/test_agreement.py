from __future__ import annotations

import numpy as np
import pytest

from opensearch_multivector.ops.canary.agreement import estimated_recall, misses, order_agreement, share_of_top

EXACT = [("a", 9.0), ("b", 8.0), ("c", 7.0), ("d", 6.0)]


def test_share_of_the_top_counts_what_was_found() -> None:
    assert share_of_top(EXACT, {"a", "c", "z"}, 3) == pytest.approx(2 / 3)
    assert share_of_top(EXACT, {"d"}, 3) == 0  # beyond the top 3
    assert share_of_top(EXACT, {"a", "b", "c", "d"}, 10) == 1  # there are no more than four
    assert share_of_top([], set(), 3) == 1


def test_equal_scores_at_the_edge_stand_for_each_other() -> None:
    exact = [("a", 9.0), ("b", 8.0), ("c", 8.00001), ("d", 8.0), ("e", 1.0)]
    assert share_of_top(exact, {"a", "d"}, 2) == 1
    assert share_of_top(exact, {"b", "c", "d"}, 2) == 0.5  # of the equal ones only one is in the top 2
    assert share_of_top(exact, {"a", "e"}, 2) == 0.5


def test_of_more_equal_scores_than_are_known_none_counts() -> None:
    exact = [("a", 9.0), ("b", 8.0), ("c", 8.0), ("d", 8.0)]
    assert share_of_top(exact, {"a", "x", "y"}, 3) == 1  # x and y may be as good as b and c
    assert share_of_top(exact, {"x", "y"}, 3) == 0
    assert order_agreement(exact, ["a", "x", "y"], 3) == pytest.approx(1)
    assert share_of_top(exact[1:], {"x"}, 2) == order_agreement(exact[1:], ["x"], 2) == 1


def test_order_agreement_does_not_ask_for_the_order_of_equal_scores() -> None:
    exact = [("a", 9.0), ("b", 8.0), ("c", 8.0), ("d", 6.0)]
    assert order_agreement(exact, ["a", "c", "b", "d"], 4) == pytest.approx(1)
    assert order_agreement(exact, ["c", "a", "b", "d"], 4) < 1
    assert order_agreement(exact, [], 4) == 0


def test_a_sampled_miss_stands_for_several() -> None:
    candidates = [("c", 7.0), ("a", 9.0), ("e", 5.0)]
    assert misses(candidates, [("b", 8.0), ("d", 6.0)], 0.5, 2) == 2
    assert misses(candidates, [("b", 7.00001)], 0.5, 2) == 0  # as good as the second
    assert misses(candidates, [("b", -8.0)], 0.5, 4) == 2  # there is no fourth, so that any belongs above it
    assert estimated_recall([0, 2], 3) == 3 / 4
    assert estimated_recall([], 3) == 1


@pytest.mark.parametrize("lost", [0.0, 0.05, 0.3, 0.6])
def test_the_estimate_is_near_the_recall(lost: float) -> None:
    """Candidates are the best hundred of a thousand, of which a share was missed; a fifth is sampled."""
    rng = np.random.default_rng(1)
    true: list[float] = []
    missed: list[float] = []
    for _ in range(300):
        ranking = [(str(i), score) for i, score in enumerate(np.sort(rng.normal(size=1000))[::-1].tolist())]
        lacking = set(np.flatnonzero(rng.random(1000) < lost).tolist())
        candidates = [each for i, each in enumerate(ranking[:300]) if i not in lacking][:100]
        names = {name for name, _ in candidates}
        sampled = [ranking[i] for i in np.flatnonzero(rng.random(1000) < 0.2)[:20]]
        true.append(share_of_top(ranking, names, 10))
        missed.append(misses(candidates, [each for each in sampled if each[0] not in names], 0.2, 10))
    assert estimated_recall(missed, 10) == pytest.approx(np.mean(true), abs=0.03)
