"""What compares the searches of other tests sees what differs, and overlooks only the last bits of scores."""

from __future__ import annotations

import pytest
from same_hits import assert_same_hits

from opensearch_multivector.queries.results import Hit


def hits(*scores: tuple[str, float], stale: bool = False) -> list[Hit]:
    return [Hit(doc_id, score, "articles", score, stale=stale) for doc_id, score in scores]


EXPECTED = hits(("a", 0.9), ("b", 0.8), ("c", 0.7))


@pytest.mark.parametrize(
    "found",
    [
        EXPECTED,
        hits(("a", 0.9000003), ("b", 0.8), ("c", 0.7)),
        hits(("a", 0.9000003), ("b", 0.8), ("d", 0.7)),  # level with the last: either may be cut off
    ],
)
def test_the_same(found: list[Hit]) -> None:
    assert_same_hits(found, EXPECTED)


@pytest.mark.parametrize(
    "found",
    [
        EXPECTED[:2],
        hits(("a", 0.9), ("b", 0.8), ("d", 0.7)),
        hits(("b", 0.9), ("a", 0.8), ("c", 0.7)),
        hits(("a", 0.9003), ("b", 0.8), ("c", 0.7)),
        hits(("a", 0.9000003), ("c", 0.8), ("b", 0.7)),
        hits(("a", 0.9000003), ("d", 0.8), ("c", 0.7)),
        hits(("a", 0.9000003), ("b", 0.8), ("c", 0.7), stale=True),
    ],
)
def test_another(found: list[Hit]) -> None:
    with pytest.raises(AssertionError):
        assert_same_hits(found, EXPECTED)
