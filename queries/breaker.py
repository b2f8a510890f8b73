"""A circuit breaker: what failed again and again is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from opensearch_multivector.errors import ClusterError

State: TypeAlias = Literal["closed", "open", "half-open"]


class Breaker:
    """Opens after ``failures`` within ``window`` seconds; ``open_for`` seconds later one attempt may show the way.

        closed     every attempt is allowed
        open       none is
        half-open  one is, the probe: it closes the breaker by succeeding, and opens it again by failing

    No I/O; any number of threads may share it. ``clock`` gives seconds.
    """

    def __init__(
        self,
        failures: int = 5,
        window: float = 30.0,
        open_for: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._window = window
        self._open_for = open_for
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: deque[float] = deque(maxlen=failures)
        self._opened: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """As it is now."""
        with self._lock:
            return self._state()

    def allows(self) -> bool:
        """Whether to try. Whoever is allowed reports what came of it: `succeeded`, `failed` or `gave_up`."""
        with self._lock:
            state = self._state()
            if state == "closed":
                return True
            if state == "open" or self._probing:
                return False
            self._probing = True
            return True

    def succeeded(self) -> None:
        """An attempt went well."""
        with self._lock:
            if self._opened is None or self._probing:  # else of an attempt from before it opened
                self._opened, self._probing = None, False
                self._failed.clear()

    def failed(self) -> None:
        """An attempt failed."""
        with self._lock:
            now = self._clock()
            self._failed.append(now)
            often = len(self._failed) == self._failures and now - self._failed[0] <= self._window
            if self._probing or (self._opened is None and often):
                self._opened, self._probing = now, False

    def gave_up(self) -> None:
        """An attempt ended without telling anything: the next may be the probe."""
        with self._lock:
            self._probing = False

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Reports what becomes of the body: ClusterError is a failure, any other exception tells nothing."""
        try:
            yield
        except ClusterError:
            self.failed()
            raise
        except BaseException:
            self.gave_up()
            raise
        self.succeeded()

    def _state(self) -> State:
        if self._opened is None:
            return "closed"
        return "half-open" if self._clock() - self._opened >= self._open_for else "open"
