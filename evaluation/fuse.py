"""Runs fused into one, topic by topic; `queries/fusion.py` has the formulas of `rrf` and `weighted`.

    combmnz  score(d) = n(d) * sum over the rankings r that hold d of n_r(d), where n(d) counts these rankings and
             n_r is their score scaled as for `weighted` (Fox and Shaw 1994)

A run without a topic has no say in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.runs import Ranking, strict_ranking
from opensearch_multivector.queries.fusion import (
    RANK_CONSTANT,
    best_first,
    reciprocal_rank_fusion,
    weighted_sum,
)

METHODS = ("rrf", "weighted", "combmnz")


def fuse_runs(
    runs: Sequence[Mapping[str, Ranking]],
    method: str = "rrf",
    *,
    weights: Sequence[float] | None = None,
    rank_constant: int = RANK_CONSTANT,
    size: int = 1000,
) -> dict[str, Ranking]:
    """Fuse runs by one of `METHODS`; the ``size`` best of each topic, as `strict_ranking` gives them.

    ``weights``: of the runs, for `weighted` alone. Raises InputError on what doesn't fit together.
    """
    _check(len(runs), method, weights, rank_constant, size)
    topics = dict.fromkeys(topic for run in runs for topic in run)
    fused = {}
    for topic in topics:
        rankings = [run.get(topic, []) for run in runs]
        if method == "rrf":
            ranking = reciprocal_rank_fusion([[doc_id for doc_id, _ in each] for each in rankings], rank_constant)
        elif method == "weighted":
            ranking = weighted_sum(rankings, weights or [1.0] * len(runs))
        else:
            ranking = _combmnz(rankings)
        fused[topic] = strict_ranking(ranking)[:size]
    return fused


def _combmnz(rankings: Sequence[Ranking]) -> Ranking:
    """`weighted_sum` with equal weights is the sum divided by the number of rankings."""
    found = Counter(doc_id for ranking in rankings for doc_id, _ in ranking)
    means = weighted_sum(rankings, [1.0] * len(rankings))
    return best_first((doc_id, score * len(rankings) * found[doc_id]) for doc_id, score in means)


def _check(runs: int, method: str, weights: Sequence[float] | None, rank_constant: int, size: int) -> None:
    if runs < 2:
        raise InputError(f"there {'is 1 run' if runs else 'are 0 runs'} to fuse; two are the fewest.")
    if method not in METHODS:
        raise InputError(f"{method!r} is no way to fuse; there are {', '.join(METHODS)}.")
    if weights is not None:
        if method != "weighted":
            raise InputError(f"weights are for the method weighted; {method} takes none.")
        if len(weights) != runs:
            raise InputError(f"there are {len(weights)} weights for {runs} runs; each run takes one.")
        if not all(0 < weight < float("inf") for weight in weights):
            raise InputError("a weight is not a number above 0.")
    if rank_constant < 0 or size < 1:
        raise InputError("the rank constant is at least 0, the size at least 1.")
