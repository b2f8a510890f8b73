"""What Prometheus is shown of the cluster: asked for at scrape time, but not at every scrape, and never for long.

Each `Part` is asked in a thread of its own, at most once in so many seconds, however often and by how many it is
scraped. A scrape waits for those that are under way up to its time limit, then shows what was read last.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from opensearch_multivector.ops.metrics.names import BY_NAME, family

# Prometheus gives up after ten seconds.
TIMEOUT = 8.0
# What could not be read again for so long is no longer shown.
_KEPT_SECONDS = 300.0

_LOG = logging.getLogger(__name__)


class Readings:
    """Values by metric and labels, as they are read; ``errors``: of what could not be."""

    def __init__(self) -> None:
        self.values: dict[str, dict[tuple[str, ...], float]] = {}
        self.errors: list[Exception] = []

    def add(self, name: str, value: float, **labels: str) -> None:
        """One value; labels that the metric has are all given."""
        key = tuple(labels[label] for label in BY_NAME[name].labels)
        self.values.setdefault(name, {})[key] = float(value)

    def families(self) -> Iterator[Any]:
        """The values as prometheus_client's families."""
        for name, values in self.values.items():
            made = family(name)
            for labels, value in values.items():
                made.add_metric(labels, value)
            yield made


Read: TypeAlias = Callable[[Readings], None]


class Part:
    """What is read together: ``read`` fills the readings, and raises, or adds an error and goes on.

    ``every``: seconds from the begin of one reading to that of the next. ``up``: whether the last one had no error.
    """

    def __init__(self, name: str, every: float, read: Read, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.every = every
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._running: threading.Thread | None = None
        self._shown: Readings | None = None
        self._begun: float | None = None
        self._shown_at = 0.0
        self._seconds = 0.0
        self._errors = 0
        self.up = False
        self._told = ""

    def begin(self) -> None:
        """Begin to read, unless that is under way, or was not long ago."""
        with self._lock:
            young = self._begun is not None and self._clock() - self._begun < self.every
            if self._running is not None or young:
                return
            self._begun = self._clock()
            self._running = threading.Thread(target=self._run, name=f"osmv-{self.name}", daemon=True)
            self._running.start()

    def wait(self, until: float) -> None:
        """Wait for what is under way, until that time of the clock."""
        running = self._running
        if running is not None:
            running.join(max(0.0, until - self._clock()))

    def families(self) -> Iterator[Any]:
        """What was read last, unless that is too long ago."""
        with self._lock:
            shown, age = self._shown, self._clock() - self._shown_at
        if shown is not None and age <= max(_KEPT_SECONDS, 2 * self.every):
            yield from shown.families()

    def report(self, readings: Readings) -> None:
        """How the reading itself went."""
        with self._lock:
            readings.add("osmv_exporter_up", self.up, part=self.name)
            readings.add("osmv_exporter_errors_total", self._errors, part=self.name)
            if self._shown is not None:
                readings.add("osmv_exporter_age_seconds", self._clock() - self._shown_at, part=self.name)
                readings.add("osmv_exporter_seconds", self._seconds, part=self.name)

    def _run(self) -> None:
        began = self._clock()
        readings = Readings()
        try:
            self._read(readings)
        except Exception as error:
            readings.errors.append(error)
        with self._lock:
            self._errors += len(readings.errors)
            self.up = not readings.errors
            if readings.values or self.up:
                self._shown, self._shown_at, self._seconds = readings, self._clock(), self._clock() - began
            self._running = None
        self._tell(readings.errors)

    def _tell(self, errors: Sequence[Exception]) -> None:
        """Log what is new: the same at every scrape would say no more."""
        told = "; ".join(sorted({str(error) for error in errors}))
        if told != self._told:
            _LOG.log(logging.WARNING if told else logging.INFO, "%s: %s", self.name, told or "read again")
        self._told = told


class ClusterMetrics:
    """A prometheus_client collector of these parts, for a registry: ``registry.register(ClusterMetrics(parts))``."""

    def __init__(
        self, parts: Iterable[Part], timeout: float = TIMEOUT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._parts = tuple(parts)
        self._timeout = timeout
        self._clock = clock

    def describe(self) -> Iterator[Any]:
        """Nothing is asked when it is registered."""
        return iter(())

    def collect(self) -> Iterator[Any]:
        """What there is within the time limit."""
        until = self._clock() + self._timeout
        for part in self._parts:
            part.begin()
        for part in self._parts:
            part.wait(until)
        own = Readings()
        for part in self._parts:
            yield from part.families()
            part.report(own)
        yield from own.families()
