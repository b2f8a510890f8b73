"""How far two rankings agree, without judgements:

overlap@k   |A_k & B_k| / k, A_k the k best of A; over the longer one's length where both are shorter than k
RBO         (1 - p) * sum over depths d of p^(d-1) * |A_d & B_d| / d, the expected agreement for a reader who goes
            on to the next rank with probability p (Webber, Moffat and Zobel 2010); beyond the end of the rankings
            the agreement is taken to go on as it was (their RBO_ext, equation 32)

A topic that one of two runs lacks counts as 0 in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.runs import Ranking

PERSISTENCE = 0.9


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two runs' agreement on their ``depth`` best, as means over the ``topics`` that either has.

    ``same_order``: on how many topics these are the same documents in the same order.
    """

    first: str
    second: str
    depth: int
    topics: int
    overlap: float
    rbo: float
    same_order: int


def overlaps(runs: Mapping[str, Mapping[str, Ranking]], depth: int, persistence: float = PERSISTENCE) -> list[Overlap]:
    """The agreement of each pair of runs. Raises InputError on a depth or persistence that is out of range."""
    if depth < 1:
        raise InputError(f"the depth is {depth}; overlap is of at least the best document.")
    if not 0 < persistence < 1:
        raise InputError(f"the persistence of RBO is {persistence}; it lies between 0 and 1.")
    return [_of_pair(a, runs[a], b, runs[b], depth, persistence) for a, b in combinations(runs, 2)]


def _of_pair(
    a: str, first: Mapping[str, Ranking], b: str, second: Mapping[str, Ranking], depth: int, persistence: float
) -> Overlap:
    topics = list(dict.fromkeys([*first, *second]))
    pairs = [tuple([doc_id for doc_id, _ in run.get(topic, [])[:depth]] for run in (first, second)) for topic in topics]
    return Overlap(
        first=a,
        second=b,
        depth=depth,
        topics=len(topics),
        overlap=sum(overlap_at(one, other, depth) for one, other in pairs) / len(topics),
        rbo=sum(rank_biased_overlap(one, other, persistence) for one, other in pairs) / len(topics),
        same_order=sum(one == other for one, other in pairs),
    )


def overlap_at(first: Sequence[str], second: Sequence[str], depth: int) -> float:
    """Share of the ``depth`` best that both have; 1 for two empty rankings."""
    one, other = set(first[:depth]), set(second[:depth])
    longest = max(len(one), len(other))
    return len(one & other) / longest if longest else 1.0


def rank_biased_overlap(first: Sequence[str], second: Sequence[str], persistence: float = PERSISTENCE) -> float:
    """RBO of two rankings without repetition, extrapolated; 1 for two empty ones, 0 where one is empty."""
    short, long = sorted((first, second), key=len)
    if not short:
        return 0.0 if long else 1.0
    p, s = persistence, len(short)
    seen_short: set[str] = set()
    seen_long: set[str] = set()
    common = common_at_s = 0  # documents that both have down to depth d, and down to s
    total = 0.0
    for d, doc_id in enumerate(long, start=1):
        seen_long.add(doc_id)
        if d <= s:
            seen_short.add(short[d - 1])
            common += (doc_id in seen_short) + (short[d - 1] in seen_long) - (doc_id == short[d - 1])
            common_at_s = common
            total += common / d * p**d
        else:
            common += doc_id in seen_short
            total += (common / d + common_at_s * (d - s) / (s * d)) * p**d
    beyond = (common - common_at_s) / len(long) + common_at_s / s
    return (1 - p) / p * total + beyond * p ** len(long)
