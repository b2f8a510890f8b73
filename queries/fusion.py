"""Fusion of several rankings into one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

RANK_CONSTANT = 60


def fuse(
    rankings: Sequence[Sequence[tuple[Key, float]]], weights: Sequence[float] | None = None
) -> list[tuple[Key, float]]:
    """Fuse scored rankings, best first: by `weighted_sum` where there are weights, else by `reciprocal_rank_fusion`."""
    if weights is not None:
        return weighted_sum(rankings, weights)
    return reciprocal_rank_fusion([[key for key, _ in ranking] for ranking in rankings])


def weighted_sum(rankings: Sequence[Sequence[tuple[Key, float]]], weights: Sequence[float]) -> list[tuple[Key, float]]:
    """Fuse by the weighted mean of scores, each ranking's scaled to [0, 1] by its least and greatest.

    score(d) = sum over the rankings r that hold d of w_r * (s_r(d) - min_r) / (max_r - min_r), by the sum of all w_r.
    Scores that are all equal become 1. Equal fused scores keep the order of first appearance.
    """
    scores: dict[Key, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        if not ranking:
            continue
        low, high = min(score for _, score in ranking), max(score for _, score in ranking)
        for key, score in ranking:
            share = (score - low) / (high - low) if high > low else 1.0
            scores[key] = scores.get(key, 0.0) + weight / sum(weights) * share
    return sorted(scores.items(), key=lambda item: -item[1])


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[Key]], rank_constant: int = RANK_CONSTANT
) -> list[tuple[Key, float]]:
    """Fuse rankings by RRF (Cormack et al. 2009): score(d) = sum over rankings of 1 / (rank_constant + rank), from 1.

    Returns the fused ranking, best first; equal scores keep the order of first appearance.
    """
    scores: dict[Key, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + 1.0 / (rank_constant + rank)
    return sorted(scores.items(), key=lambda item: -item[1])
