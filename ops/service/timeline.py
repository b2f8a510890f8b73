"""When what was done for one request, as the waterfall shows it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opensearch_multivector.ops.service.schema import Stage

# In the order in which a search comes to them; a chain's rerank_fetch and rerank alternate, and are shown added up.
_IN_TURN = ("wait", "encode", "first_stage", "rerank_fetch", "rerank", "fetch")
_TOOK = "first_stage_took"


class Timeline:
    """Bars in milliseconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.stages: list[Stage] = []

    def now(self) -> float:
        """Milliseconds since the start."""
        return (time.perf_counter() - self._start) * 1e3

    def add(self, name: str, start: float, duration: float, within: str | None = None) -> None:
        """A bar; one without any length is left out."""
        if duration > 0:
            self.stages.append(Stage(name=name, start=round(start, 3), duration=round(duration, 3), within=within))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A bar as long as what is done within."""
        start = self.now()
        try:
            yield
        finally:
            self.add(name, start, self.now() - start)

    def search(self, start: float, timings: Mapping[str, float]) -> None:
        """The bars of a search that began then, by its result's timings."""
        for name in _IN_TURN:
            duration = timings.get(name, 0.0)
            self.add(name, start, duration)
            if name == "first_stage" and _TOOK in timings:
                self.add(_TOOK, start, min(duration, timings[_TOOK]), within=name)
            start += duration
