"""How far what a search found agrees with the exact answer, of all documents or of a sample of them.

**All documents are known.** recall@k is the share of the exact top k among the candidates, overlap@k that among the k
hits of the page. Documents whose scores are equal at the edge of the top k may stand for each other, and neither
measure asks in which order equal ones come.

**A share s of the documents is known.** The exact scores of the candidates are known, too, since they were reranked
exactly; of what the candidates miss a sampled document stands for 1/s documents. Going down both by score until k
documents are counted gives an estimate of the top k, and the part of it that are candidates is an estimate of
recall@k; with s = 1 it is recall@k itself. Each miss that the sample happens to hold counts 1/s, so that a single
query's estimate says little, and the mean over many is right.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from opensearch_multivector.evaluation.comparison.overlap import rank_biased_overlap

Scored = tuple[str, float]

# Between scores of the same pair that were computed in another order, or with another kernel.
_EQUAL = 1e-4


def share_of_top(exact: Sequence[Scored], found: Collection[str], k: int) -> float:
    """Share of the ``k`` best of ``exact`` (best first, may go on beyond k) that was found; 1 where there are none."""
    wanted = min(k, len(exact))
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
    ordered: list[str] = []
    group: list[Scored] = []
    for each in [*exact, None]:
        if group and (each is None or group[0][1] - each[1] > _tolerance(each[1])):
            ordered += sorted((doc_id for doc_id, _ in group), key=lambda doc_id: places.get(doc_id, len(page)))
            group = []
        if each is not None:
            group.append(each)
    return rank_biased_overlap(ordered[:k], list(page[:k]))


@dataclass(frozen=True, slots=True)
class Estimate:
    """``recall``: estimated; ``top``: the candidates that are in the estimated top k; ``edge``: its lowest score."""

    recall: float
    top: frozenset[str]
    edge: float


def estimate(candidates: Sequence[Scored], missed: Sequence[Scored], share: float, k: int) -> Estimate:
    """``candidates``: with their exact scores, the k best at least; ``missed``: sampled documents that are none."""
    weighed = [(score + _tolerance(score), 1.0, doc_id) for doc_id, score in candidates]
    weighed += [(score, 1 / share, "") for _, score in missed]
    counted = own = 0.0
    top: set[str] = set()
    edge = float("inf")
    for score, weight, doc_id in sorted(weighed, key=lambda each: -each[0]):
        taken = min(weight, k - counted)
        if taken <= 0:
            break
        counted += taken
        edge = score
        if doc_id:
            own += taken
            top.add(doc_id)
    return Estimate(own / counted if counted else 1.0, frozenset(top), edge)


def _tolerance(score: float) -> float:
    return _EQUAL * max(1.0, abs(score))
