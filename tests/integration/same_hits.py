"""Whether two searches of the same documents found the same, but for the last bits of their scores.

k-NN scores are not bound to the bit between two requests: Lucene sums its vector lanes with Java's
``FloatVector.reduceLanes(ADD)``, whose documentation leaves the order of the additions open, and it does change at the
moment when HotSpot compiles the loop. Between such moments they are equal, so a ranking whose scores are equal to the
bit has to be equal in all else.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

import pytest

from opensearch_multivector.queries.results import Hit, SearchResult

# A change of k-NN scores was seen to be 3e-7; a fusion divides by the range of a stage's scores.
LAST_BITS = 1e-5


def ranking(hits: Iterable[Hit]) -> list[tuple[str, float]]:
    return [(hit.doc_id, hit.score) for hit in hits]


def assert_same_ranking(
    found: Sequence[tuple[Hashable, float]], expected: Sequence[tuple[Hashable, float]], what: str = ""
) -> None:
    """Equal scores in order and equal documents; of those level with the last, either may be cut off."""
    here, there = [score for _, score in found], [score for _, score in expected]
    if here == there:
        assert list(found) == list(expected), what
        return
    assert here == pytest.approx(there, rel=LAST_BITS, abs=LAST_BITS), what
    scores = dict(expected)
    assert [scores.get(key, there[-1]) for key, _ in found] == pytest.approx(here, rel=LAST_BITS, abs=LAST_BITS), what


def assert_same_hits(found: Sequence[Hit], expected: Sequence[Hit]) -> None:
    """As rankings, and in all that a hit tells besides."""
    assert_same_ranking(keyed(found), keyed(expected))
    others = {(hit.index, hit.doc_id): hit for hit in expected}
    for hit in found:
        other = others.get((hit.index, hit.doc_id), hit)
        assert replace(hit, score=0.0, first_stage_score=None) == replace(other, score=0.0, first_stage_score=None)
        assert (hit.first_stage_score is None) == (other.first_stage_score is None)
        assert (hit.first_stage_score or 0) == pytest.approx(other.first_stage_score or 0, rel=LAST_BITS, abs=LAST_BITS)


def keyed(hits: Iterable[Hit]) -> list[tuple[tuple[str, str], float]]:
    return [((hit.index, hit.doc_id), hit.score) for hit in hits]


def assert_all_same(found: Sequence[SearchResult], expected: Sequence[Sequence[Hit]]) -> None:
    """Of several queries: the results of one way to ask them against the hits of another."""
    for result, hits in zip(found, expected, strict=True):
        assert_same_hits(result.hits, hits)
