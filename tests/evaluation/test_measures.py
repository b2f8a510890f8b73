from __future__ import annotations

import math

import pytest

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.measures import Scorer, parse_measure

pytest.importorskip("ir_measures")


def test_known_values_by_hand() -> None:
    scorer = Scorer({"q": {"a": 1, "b": 1}}, ["nDCG@10", "R@1", "R@2", "RR@10"])
    scorer.add({"q": [("x", 3.0), ("a", 2.0), ("b", 1.0)]})
    ideal = 1 + 1 / math.log2(3)
    assert scorer.result().mean == pytest.approx(
        {"nDCG@10": (1 / math.log2(3) + 1 / 2) / ideal, "R@1": 0.0, "R@2": 0.5, "RR@10": 0.5}
    )


def test_batches_give_the_same_as_one_go_and_missing_topics_count_as_zero() -> None:
    qrels = {f"q{i}": {"a": 1} for i in range(4)}
    rankings = {"q0": [("a", 1.0)], "q1": [("b", 2.0), ("a", 1.0)], "q2": [("b", 1.0)], "unjudged": [("a", 1.0)]}
    whole, parts = Scorer(qrels), Scorer(qrels)
    whole.add(rankings)
    for query_id, ranking in rankings.items():
        parts.add({query_id: ranking})
    assert whole.result() == parts.result()
    assert whole.result().mean["RR@10"] == pytest.approx((1 + 0.5) / 4)
    assert whole.result().per_topic["RR@10"] == {"q0": 1.0, "q1": 0.5, "q2": 0.0, "q3": 0.0}


def test_reciprocal_rank_is_cut() -> None:
    scorer = Scorer({"q": {"a": 1}}, ["RR@2", "RR"])
    scorer.add({"q": [("x", 3.0), ("y", 2.0), ("a", 1.0)]})
    assert scorer.result().mean == pytest.approx({"RR@2": 0.0, "RR": 1 / 3})


@pytest.mark.parametrize("name", ["nDCG@ten", "Speed", "", "nDCG@", "import os"])
def test_what_is_no_measure_is_said(name: str) -> None:
    with pytest.raises(InputError, match="is no measure"):
        parse_measure(name)


def test_what_takes_a_package_that_is_not_here_is_said() -> None:
    ir_measures = pytest.importorskip("ir_measures")
    if ir_measures.DefaultPipeline.supports(ir_measures.RBP):
        pytest.skip("ir-measures can compute RBP here")
    with pytest.raises(InputError, match="'RBP' is a measure that ir-measures knows but can't compute here"):
        parse_measure("RBP")
