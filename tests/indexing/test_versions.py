from __future__ import annotations

import time

import pytest

from opensearch_multivector.indexing.versions import EPOCH_ORIGIN, explain_conflict, version_of


def test_first_line_wins_and_later_run_overwrites() -> None:
    assert version_of(5, 1) > version_of(5, 2) > version_of(5, 2**32 - 1) > version_of(4, 1)


def test_fits_into_a_signed_long_for_decades() -> None:
    in_fifty_years = int(time.time()) - EPOCH_ORIGIN + 50 * 365 * 86_400
    assert version_of(in_fifty_years, 1) < 2**63


def test_names_the_line_that_is_there() -> None:
    reason = f"[a]: version conflict, current version [{version_of(9, 123)}] is higher than the one provided [1]"
    assert explain_conflict(reason, 9) == "duplicate of line 123"
    assert "later run" in explain_conflict(reason, 8)
    assert explain_conflict("something else", 8) == "something else"


@pytest.mark.parametrize("line", [0, -1, 2**32])
def test_line_out_of_range(line: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        version_of(1, line)
