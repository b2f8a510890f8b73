"""Waiting for what comes about by itself, on machines of any speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(holds: Callable[[], Any], what: object, seconds: float = 120.0) -> Any:
    """What ``holds`` gives once it is something; ``what``: how a failure calls it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.3)
    return found
