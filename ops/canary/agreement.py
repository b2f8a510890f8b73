"""How far what a search found agrees with the exact answer, of all documents or of a sample of them.

**All documents are known.** recall@k is the share of the exact top k among the candidates, overlap@k that among the k
hits of the page. Documents whose scores are equal at the edge of the top k may stand for each other, and neither
measure asks in which order equal ones come.

**A share s of the documents is known.** The exact scores of the candidates are known, too, since they are reranked
exactly; of what they miss, each sampled document stands for 1/s documents. Where M documents above the k-th candidate
were missed, as a mean over the queries, recall is about k / (k + M): where each document is found with probability r,
k of them are found among k / r. Each miss that the sample happens to hold counts 1/s, so that it takes many queries,
and little is known of a single one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from opensearch_multivector.evaluation.comparison.overlap import rank_biased_overlap

Scored = tuple[str, float]

# Between scores of the same pair that were computed in another order, or with another kernel.
_EQUAL = 1e-4


def share_of_top(exact: Sequence[Scored], found: Collection[str], k: int) -> float:
    """Share of the ``k`` best of ``exact`` (best first, may go on beyond k) that was found; 1 where there are none."""
    wanted = _told_apart(exact, k)
    if not wanted:
        return 1.0
    edge = exact[wanted - 1][1]
    above = [doc_id for doc_id, score in exact if score > edge + _tolerance(edge)]
    level = [doc_id for doc_id, score in exact if abs(score - edge) <= _tolerance(edge)]
    there = sum(doc_id in found for doc_id in above)
    return (there + min(wanted - len(above), sum(doc_id in found for doc_id in level))) / wanted


def order_agreement(exact: Sequence[Scored], page: Sequence[str], k: int) -> float:
    """RBO of the page with the exact top ``k``, where equal scores stand in the page's order."""
    places = {doc_id: place for place, doc_id in enumerate(page)}
    wanted = _told_apart(exact, k)
    if not wanted:
        return 1.0
    ordered: list[str] = []
    group: list[Scored] = []
    for each in [*exact, None]:
        if group and (each is None or group[0][1] - each[1] > _tolerance(each[1])):
            ordered += sorted((doc_id for doc_id, _ in group), key=lambda doc_id: places.get(doc_id, len(page)))
            group = []
        if each is not None:
            group.append(each)
    return rank_biased_overlap(ordered[:wanted], list(page[:wanted]))


def _told_apart(exact: Sequence[Scored], k: int) -> int:
    """How many of the ``k`` best can be told from others: of more equal ones than are known, none can."""
    wanted = min(k, len(exact))
    if len(exact) <= k or exact[wanted - 1][1] - exact[-1][1] > _tolerance(exact[-1][1]):
        return wanted
    return sum(score > exact[-1][1] + _tolerance(exact[-1][1]) for _, score in exact)


def misses(candidates: Sequence[Scored], missed: Sequence[Scored], share: float, k: int) -> float:
    """How many documents that are no candidates belong above the ``k``-th of these, by a sample of that ``share``.

    ``candidates``: with their exact scores, the k best at least; ``missed``: sampled documents that are none.
    """
    edge = edge_of(candidates, k)
    return sum(score > edge + _tolerance(edge) for _, score in missed) / share


def edge_of(candidates: Sequence[Scored], k: int) -> float:
    """The ``k``-th score; of fewer candidates any score is above it."""
    scores = sorted((score for _, score in candidates), reverse=True)
    return scores[k - 1] if len(scores) >= k else -1e30


def estimated_recall(missed: Sequence[float], k: int) -> float:
    """Of the misses of all queries."""
    return k / (k + sum(missed) / len(missed)) if missed else 1.0


def _tolerance(score: float) -> float:
    return _EQUAL * max(1.0, abs(score))
