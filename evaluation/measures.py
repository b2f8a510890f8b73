"""Effectiveness measures, through ir-measures: the means and every topic's own value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opensearch_multivector.errors import InputError, MissingDependencyError
from opensearch_multivector.evaluation.collection.beir import Qrels
from opensearch_multivector.evaluation.runs import Ranking

DEFAULT_MEASURES = ("nDCG@10", "R@100", "RR@10")


@dataclass(frozen=True, slots=True)
class Scores:
    """``mean``: aggregate by measure. ``per_topic``: value by query id by measure. Names as ir-measures writes them."""

    mean: dict[str, float]
    per_topic: dict[str, dict[str, float]]


class Scorer:
    """Score rankings as they come, so that no run has to be held in memory.

    Judged topics that are never added count as 0 in `result`, as in ``trec_eval -c``.
    """

    def __init__(self, qrels: Qrels, measures: Sequence[str] = DEFAULT_MEASURES) -> None:
        self._parsed = [parse_measure(name) for name in dict.fromkeys(measures)]
        self._qrels = qrels
        self._per_topic: dict[str, dict[str, float]] = {str(measure): {} for measure in self._parsed}

    def add(self, rankings: Mapping[str, Ranking]) -> None:
        """Score these topics' rankings, each as `strict_ranking` gives it; topics without judgements are left out."""
        import ir_measures

        qrels = {query_id: self._qrels[query_id] for query_id in rankings if query_id in self._qrels}
        if not qrels:
            return
        run = {query_id: dict(rankings[query_id]) for query_id in qrels}
        for metric in ir_measures.iter_calc(self._parsed, qrels, run):
            self._per_topic[str(metric.measure)][metric.query_id] = float(metric.value)

    def result(self) -> Scores:
        """Means over all judged topics, and the values behind them."""
        missing = [query_id for query_id in self._qrels if query_id not in self._per_topic[str(self._parsed[0])]]
        self.add({query_id: [] for query_id in missing})
        mean = {}
        for measure in self._parsed:
            aggregator = measure.aggregator()
            for value in self._per_topic[str(measure)].values():
                aggregator.add(value)
            mean[str(measure)] = float(aggregator.result())
        return Scores(mean=mean, per_topic=self._per_topic)


def parse_measure(name: str) -> Any:
    """ir-measures' object for a name such as ``nDCG@10``, ``R@100``, ``RR@10``, ``AP``, ``Success@5``.

    Raises InputError on a name that it does not know or compute, MissingDependencyError without ir-measures.
    """
    try:
        import ir_measures
    except ImportError:
        raise MissingDependencyError('measures need ir-measures: pip install "opensearch-multivector[eval]".') from None
    try:
        measure = ir_measures.parse_measure(name)
        measure.validate_params()
    except (NameError, ValueError, SyntaxError, AttributeError, AssertionError):
        raise InputError(f"{name!r} is no measure; examples are nDCG@10, R@100, RR@10, AP, Success@5.") from None
    if not ir_measures.DefaultPipeline.supports(measure):
        raise InputError(f"{name!r} is a measure that ir-measures knows but can't compute here.")
    return measure
