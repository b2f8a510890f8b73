"""At how many documents per second searches are still as fast as they are wanted: found out by trying, as TCP does.

The rate doubles until searches are too slow for the first time. From then on it falls by a third of itself where they
are (multiplicative decrease) and grows by steps of one size (additive increase), by larger ones where they are twice as
fast as they need to be. Several processes that do so share what there is.
No clock, no threads, no requests: whoever searches tells it what it saw.
"""

from __future__ import annotations

from collections import deque

START = 10.0
FLOOR = 1.0
WINDOW = 30.0
# Fewer samples decide nothing.
_ENOUGH = 10
_DECREASE = 2 / 3
_STEP, _LONG_STEP, _FADE = 0.02, 0.1, 0.8
# A rate that isn't used may not grow: it would mean nothing by the time it is too high.
_UNUSED, _HEADROOM = 0.8, 1.5


class RateControl:
    """Makes of how long searches took, in milliseconds, a number of documents per second.

    ``target``: what the 99th percentile of the searches may be. ``ceiling``: the rate is never above it. Times are in
    seconds, of any clock that only goes forward.
    """

    def __init__(self, target: float, *, ceiling: float | None = None) -> None:
        self.target = target
        self._ceiling = ceiling if ceiling is not None else float("inf")
        self.rate = min(START, self._ceiling)
        self.lowered = 0
        self._samples: deque[tuple[float, float]] = deque()
        self._since = 0.0  # what was seen before tells nothing of the rate as it is now
        self._step: float | None = None

    def note(self, now: float, milliseconds: float) -> None:
        """A search has taken so long."""
        self._samples.append((now, milliseconds))
        while self._samples[0][0] < now - WINDOW:
            self._samples.popleft()

    def p99(self, since: float = 0.0) -> float | None:
        """Of the last half minute; a lone slow search does not make it. None: too few searches were seen."""
        seen = sorted(milliseconds for at, milliseconds in self._samples if at >= since)
        return seen[-1 - max(1, len(seen) // 100)] if len(seen) >= _ENOUGH else None

    @property
    def out_of_reach(self) -> bool:
        """Whether searches are too slow though hardly anything is written."""
        p99 = self.p99(self._since)
        return self.rate <= FLOOR and p99 is not None and p99 > self.target

    def decide(self, now: float, used: float) -> float:
        """The rate from now on; ``used``: documents per second that were written since it was last decided."""
        p99 = self.p99(self._since)
        if p99 is None or used <= 0:
            return self.rate
        if p99 > self.target:
            if self.rate > FLOOR:
                before = min(self.rate, used)
                self.rate = max(FLOOR, before * _DECREASE)
                self._since = now
                self.lowered += 1
                # Lowered several times on end, most often for what will pass, it is not to take as long to come back.
                self._step = max(before * _STEP, (self._step or 0.0) * _FADE)
        elif used >= self.rate * _UNUSED:
            self.rate = min(self._ceiling, self.rate + self._growth(p99))
        else:
            self.rate = max(FLOOR, min(self.rate, used * _HEADROOM))
        return self.rate

    def _growth(self, p99: float) -> float:
        if self._step is None:
            return self.rate
        return max(self._step, self.rate * _LONG_STEP) if p99 < self.target / 2 else self._step
