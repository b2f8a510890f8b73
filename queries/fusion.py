"""Fusion of several rankings into one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

RANK_CONSTANT = 60


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
