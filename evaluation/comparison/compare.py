"""Runs beside each other: means, differences to the first run and whether these could be chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.collection.beir import Qrels
from opensearch_multivector.evaluation.comparison.significance import (
    SAMPLES,
    SEED,
    TIE,
    bootstrap_interval,
    corrected,
    randomisation_test,
    t_test,
)
from opensearch_multivector.evaluation.measures import DEFAULT_MEASURES, Scorer, Scores
from opensearch_multivector.evaluation.runs import Ranking, strict_ranking

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Difference:
    """A run against the first one by one measure: ``mean`` is the run's minus the first's, over all judged topics.

    ``low``, ``high``: the confidence interval of it. The p-values are two-sided; ``t_test`` and ``randomisation`` are
    corrected over the runs that are compared by this measure, the ``raw_`` ones are not. None: SciPy is missing, or
    there is only one topic.
    """

    run: str
    measure: str
    mean: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int
    t_test: float | None
    randomisation: float
    raw_t_test: float | None
    raw_randomisation: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """All runs on the judged topics. ``missing``: how many of these each run lacks (they count as 0);
    ``unjudged``: how many topics each run has beyond them (left out).
    """

    scores: dict[str, Scores]
    differences: list[Difference]
    topics: list[str]
    missing: dict[str, int]
    unjudged: dict[str, int]
    correction: str
    samples: int
    seed: int

    @property
    def first(self) -> str:
        """The run that the others are compared to."""
        return next(iter(self.scores))

    @property
    def measures(self) -> list[str]:
        """Names as ir-measures writes them."""
        return list(self.scores[self.first].mean)

    def per_topic(self, measure: str, run: str) -> list[tuple[str, float, float]]:
        """(topic, the first run's value, the run's), the largest differences first."""
        before, after = (self.scores[name].per_topic[measure] for name in (self.first, run))
        rows = [(topic, before[topic], after[topic]) for topic in self.topics]
        return sorted(rows, key=lambda row: -abs(row[2] - row[1]))

    def as_json(self, per_topic: bool = False) -> dict[str, Any]:
        """For ``--json``; ``per_topic`` puts every topic's value in as well."""
        return {
            "topics": len(self.topics),
            "level": LEVEL,
            "correction": self.correction,
            "samples": self.samples,
            "seed": self.seed,
            "runs": [
                {"name": name, "measures": scores.mean, "missing": self.missing[name], "unjudged": self.unjudged[name]}
                | ({"per_topic": scores.per_topic} if per_topic else {})
                for name, scores in self.scores.items()
            ],
            "differences": [asdict(difference) for difference in self.differences],
        }


def compare(
    runs: Mapping[str, Mapping[str, Ranking]],
    qrels: Qrels,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    correction: str = "holm",
    samples: int = SAMPLES,
    seed: int = SEED,
) -> Comparison:
    """Compare runs to the first of them, topic by topic.

    ``runs``: rankings by query id by name, as `read_run` gives them. ``correction``: one of `CORRECTIONS`; ``samples``
    and ``seed``: of the randomisation test and the interval. Raises InputError where a run has none of the judged
    topics, and on an unknown measure or correction.
    """
    if samples < 1:
        raise InputError(f"samples is {samples}; it must be at least 1.")
    corrected([], correction)  # before the work
    scores = {}
    for name, run in runs.items():
        if not run.keys() & qrels.keys():
            raise InputError(
                f"{name}: none of its {len(run):,} topics is judged; run and judgements don't fit together."
            )
        scorer = Scorer(qrels, measures)
        scorer.add({query_id: strict_ranking(ranking) for query_id, ranking in run.items()})
        scores[name] = scorer.result()
    topics = list(qrels)
    first, *others = scores
    return Comparison(
        scores=scores,
        differences=[
            difference
            for measure in scores[first].mean
            for difference in _differences(measure, scores, first, others, topics, correction, samples, seed)
        ],
        topics=topics,
        missing={name: len(qrels.keys() - run.keys()) for name, run in runs.items()},
        unjudged={name: len(run.keys() - qrels.keys()) for name, run in runs.items()},
        correction=correction,
        samples=samples,
        seed=seed,
    )


def _differences(
    measure: str,
    scores: dict[str, Scores],
    first: str,
    others: list[str],
    topics: list[str],
    correction: str,
    samples: int,
    seed: int,
) -> list[Difference]:
    values = {name: np.array([scores[name].per_topic[measure][topic] for topic in topics]) for name in scores}
    by_topic = {name: values[name] - values[first] for name in others}
    t_tests = {name: t_test(differences) for name, differences in by_topic.items()}
    randomised = {name: randomisation_test(differences, samples, seed) for name, differences in by_topic.items()}
    known = {name: p for name, p in t_tests.items() if p is not None}
    t_corrected = dict(zip(known, corrected(list(known.values()), correction), strict=True))
    randomised_corrected = dict(zip(others, corrected(list(randomised.values()), correction), strict=True))
    result = []
    for name, differences in by_topic.items():
        low, high = bootstrap_interval(differences, LEVEL, samples, seed)
        wins, losses = int(np.sum(differences > TIE)), int(np.sum(differences < -TIE))
        result.append(
            Difference(
                run=name,
                measure=measure,
                mean=float(differences.mean()),
                low=low,
                high=high,
                wins=wins,
                ties=len(topics) - wins - losses,
                losses=losses,
                t_test=t_corrected.get(name),
                randomisation=randomised_corrected[name],
                raw_t_test=t_tests[name],
                raw_randomisation=randomised[name],
            )
        )
    return result
