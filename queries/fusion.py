"""Fusion of several rankings into one, with the numbers that OpenSearch's own `hybrid` query gives.

    RRF           score(d) = sum over the rankings r that hold d of 1 / (60 + rank_r(d)), ranks from 1
                  (Cormack et al. 2009; `score-ranker-processor`)
    weighted sum  score(d) = sum over the rankings r that hold d of w_r * n_r(d), weights scaled to sum 1, with
                  n_r(d) = (s_r(d) - min_r) / (max_r - min_r), but .001 where that is 0, and 1 where max_r = min_r
                  (`normalization-processor` with `min_max` and `arithmetic_mean`)

A ranking that lacks d adds 0 to it. The engine computes with single precision, RRF's shares being rounded to 10
decimals before; so does this module, hence both give bit-equal scores where they get the same rankings. They do over
one shard. Of several, each hands up to a window of hits to the engine: its rankings are longer than the client's.

Equal fused scores are ordered by index and id. Which of them still get into the window is left to the order of the
documents in the shard inside the engine, and to index and id here: that is where both may differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor
from typing import Any, Protocol, TypeVar

import numpy as np


class _Sortable(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...
    def __hash__(self) -> int: ...


Key = TypeVar("Key", bound=_Sortable)

RANK_CONSTANT = 60
# What the least of a ranking's scores becomes, so that to be found is more than not to be.
_LEAST = np.float32(0.001)


def fuse(
    rankings: Sequence[Sequence[tuple[Key, float]]], weights: Sequence[float] | None = None
) -> list[tuple[Key, float]]:
    """Fuse scored rankings, best first: by `weighted_sum` where there are weights, else by `reciprocal_rank_fusion`."""
    if weights is not None:
        return weighted_sum(rankings, weights)
    return reciprocal_rank_fusion([[key for key, _ in ranking] for ranking in rankings])


def weighted_sum(rankings: Sequence[Sequence[tuple[Key, float]]], weights: Sequence[float]) -> list[tuple[Key, float]]:
    """Fuse by the weighted mean of scores, each ranking's scaled to [0.001, 1] by its least and greatest."""
    scores: dict[Key, np.float32] = {}
    scaled = [np.float32(weight) for weight in shares(weights)]
    for ranking, weight in zip(rankings, scaled, strict=True):
        found = np.array([score for _, score in ranking], np.float32)
        if found.size == 0:
            continue
        low, high = found.min(), found.max()
        normal = (found - low) / (high - low) if high > low else np.ones_like(found)
        normal[normal == 0] = _LEAST
        for (key, _), part in zip(ranking, normal * weight, strict=True):
            scores[key] = scores.get(key, np.float32(0)) + part
    total = sum(scaled, np.float32(0))
    return best_first((key, float(score / total)) for key, score in scores.items())


def shares(weights: Sequence[float]) -> list[float]:
    """The weights scaled to sum 1."""
    total = sum(weights)
    return [weight / total for weight in weights]


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[Key]], rank_constant: int = RANK_CONSTANT
) -> list[tuple[Key, float]]:
    """Fuse rankings, each best first and without repetition, by RRF."""
    scores: dict[Key, np.float32] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            share = np.float32(floor(1e10 / (rank_constant + rank) + 0.5) / 1e10)
            scores[key] = scores.get(key, np.float32(0)) + share
    return best_first((key, float(score)) for key, score in scores.items())


def best_first(scored: Iterable[tuple[Key, float]]) -> list[tuple[Key, float]]:
    """Sorted by score, the greatest first, equal scores by key."""
    return sorted(scored, key=lambda item: (-item[1], item[0]))
