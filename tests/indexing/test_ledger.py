"""The ledger against a naive reading of its contract."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch_multivector.indexing.ledger import Counts, Ledger, Mark


@given(st.lists(st.integers(1, 5), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_watermark_is_the_last_line_with_none_open_before_it(gaps: list[int], order: object) -> None:
    lines = [sum(gaps[: i + 1]) for i in range(len(gaps))]  # rising, with gaps as blank lines make them
    ledger = Ledger()
    for line in lines:
        ledger.register(Mark(line, bytes([line % 256]), line * 10))
    shuffled = lines[:]
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    resolved: set[int] = set()
    for line in shuffled:
        ledger.resolve(line, indexed=line % 3 > 0, truncated=line % 3 == 1, vector_bytes=line)
        resolved.add(line)
        passed = []
        for candidate in lines:
            if candidate not in resolved:
                break
            passed.append(candidate)
        last = passed[-1] if passed else 0
        assert ledger.mark == (Mark(last, bytes([last % 256]), last * 10) if passed else Mark())
        assert ledger.counts == Counts(
            indexed=sum(line % 3 > 0 for line in passed),
            rejected=sum(line % 3 == 0 for line in passed),
            truncated=sum(line % 3 == 1 for line in passed),
            vector_bytes=sum(passed),
        )
        assert len(ledger) == len(lines) - len(passed)
    assert ledger.counts.read == len(lines)


def test_goes_on_from_a_checkpoint() -> None:
    ledger = Ledger(Mark(7, b"x", 70), Counts(indexed=5, rejected=1))
    ledger.register(Mark(9, b"y", 90))
    ledger.resolve(9, indexed=True)
    assert ledger.mark == Mark(9, b"y", 90)
    assert ledger.counts == Counts(indexed=6, rejected=1)


def test_refuses_what_would_break_the_count() -> None:
    ledger = Ledger()
    ledger.register(Mark(3))
    with pytest.raises(ValueError, match="line 3 registered after line 3"):
        ledger.register(Mark(3))
    ledger.resolve(3, indexed=True)
    with pytest.raises(KeyError):
        ledger.resolve(3, indexed=True)
    with pytest.raises(ValueError, match="after line 3"):
        ledger.register(Mark(2))
