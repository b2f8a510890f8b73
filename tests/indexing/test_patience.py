"""What is said while the cluster is waited for."""

from __future__ import annotations

import pytest

from opensearch_multivector.indexing.patience import SaidOnce


@pytest.mark.parametrize(
    ("waits", "said_at"),
    [
        ([0.0], []),
        ([0.0, 0.3, 1.1], []),  # over before it is worth a word
        ([0.0, 0.3, 1.1, 3.0, 10.0, 25.0, 40.0], [3.0]),
        ([0.0, 3.0, 600.0, 601.0], [3.0]),  # another wait, and a short one
        ([0.0, 3.0, 600.0, 603.0], [3.0, 603.0]),
    ],
)
def test_a_wait_that_lasts_is_said_once(waits: list[float], said_at: list[float]) -> None:
    said: list[tuple[float, str]] = []
    now = [0.0]
    waiting = SaidOnce(lambda words: said.append((now[0], words)), 300, lambda: now[0])
    for now[0] in waits:
        waiting("the cluster is too busy")
    assert said == [(at, "waiting, for 300 s at most: the cluster is too busy") for at in said_at]
