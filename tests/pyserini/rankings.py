"""Rankings as Anserini makes them of scores, to compare ours with Pyserini's to the last bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Hits = Sequence[tuple[str, float]]
Run = dict[str, list[tuple[str, float]]]


def by_score_and_id(hits: Hits, k: int) -> list[tuple[str, float]]:
    """The best ``k``; of equal scores the lower id, as strings compare.

    ``hits`` must go beyond the place ``k`` until the score falls, or be all there are: fewer than twice ``k``.
    """
    ranked = sorted(((doc_id, float(score)) for doc_id, score in hits), key=lambda hit: (-np.float32(hit[1]), hit[0]))
    assert len(ranked) < 2 * k or ranked[k - 1][1] > ranked[-1][1], "all hits tie: ask for more of them"
    return ranked[:k]


def adjusted(ranking: Hits) -> list[tuple[str, float]]:
    """Scores as Anserini hands them out (`ScoreTiesAdjusterReranker`), all float32.

    Rounded to four places; one within 1e-4 of its predecessor (as that was handed out) is lowered by 1e-6 times its
    place among such neighbours.
    """
    scores: list[np.float32] = []
    ties = 0
    for _, score in ranking:
        # Java's Math.round: to the nearest, halves up; all of it in doubles.
        rounded = np.float32(np.floor(float(np.float32(score)) * 1e4 + 0.5) / 1e4)
        ties = ties + 1 if scores and not scores[-1] - rounded > np.float32(1e-4) else 0
        scores.append(rounded - np.float32(1e-6) * np.float32(ties))
    return [(doc_id, float(score)) for (doc_id, _), score in zip(ranking, scores, strict=True)]


def tied(hits: Hits, k: int) -> int:
    """How many of the first ``k`` have a neighbour of the same score."""
    scores = [np.float32(score) for _, score in hits[: k + 1]]
    return sum(score in scores[max(i - 1, 0) : i] + scores[i + 1 : i + 2] for i, score in enumerate(scores[:k]))


def overlap(ours: Mapping[str, Hits], theirs: Mapping[str, Hits], k: int) -> float:
    """Mean share of the first ``k`` that both have."""
    shares = []
    for name, hits in theirs.items():
        first, second = ({doc_id for doc_id, _ in ranking[:k]} for ranking in (ours[name], hits))
        shares.append(len(first & second) / max(len(second), 1))
    return float(np.mean(shares))
