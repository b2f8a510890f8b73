"""Waiting for a cluster that is busy, blocked or out of reach for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import inf
from typing import TypeVar

from opensearchpy.exceptions import ConnectionError as OpenSearchConnectionError
from opensearchpy.exceptions import SSLError, TransportError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.cluster_errors import describe
from opensearch_multivector.plugin.passing_errors import may_pass

BLOCKED = "cluster_block_exception"  # the error of what is refused as long as an index or the cluster is blocked

WORTH_SAYING = 2.0  # seconds; shorter waits are nothing to speak of
_LONGEST_PAUSE = 15.0

Answer = TypeVar("Answer")
Waiting = Callable[[str], None]


class Patience:
    """Calls again what the cluster could not do now, for ``seconds`` and with exponential back-off.

    ``blocks_pass``: a block against writing is waited for as well.
    """

    def __init__(
        self, seconds: float, stop: threading.Event, waiting: Waiting | None = None, *, blocks_pass: bool = True
    ) -> None:
        self.seconds = seconds
        self._stop = stop
        self._waiting = waiting
        self._blocks_pass = blocks_pass

    def __call__(self, call: Callable[[], Answer]) -> Answer:
        """What ``call`` returns in the end. Raises what it raised last where patience runs out."""
        return retrying(self.seconds, self._stop, self._may_pass, self._waiting)(call)

    def _may_pass(self, error: BaseException) -> bool:
        cause = error.__cause__ if isinstance(error, ClusterError) else error
        if isinstance(cause, OpenSearchConnectionError):
            return not isinstance(cause, SSLError)
        if not isinstance(cause, TransportError):
            return False
        return may_pass(cause) or (self._blocks_pass and cause.error == BLOCKED)


class SaidOnce:
    """To be told before each wait (`Waiting`): says once what is waited for, where that lasts.

    Of a wait that nobody has gone on with for twice the longest pause, the next one is another.
    """

    def __init__(
        self, message: Callable[[str], None], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._message = message
        self._seconds = seconds
        self._clock = clock
        self._since = self._last = -inf
        self._said = False

    def __call__(self, reason: str) -> None:
        """``reason``: why there is a wait."""
        now = self._clock()
        if now - self._last > 2 * _LONGEST_PAUSE:
            self._since, self._said = now, False
        self._last = now
        if not self._said and now - self._since > WORTH_SAYING:
            self._said = True
            self._message(f"waiting, for {self._seconds:,.0f} s at most: {reason}")


def retrying(
    seconds: float,
    stop: threading.Event,
    may_pass: Callable[[BaseException], bool],
    waiting: Waiting | None = None,
) -> Retrying:
    """Tries again for ``seconds``, or until ``stop`` is set, what ended by an error that may pass.

    ``waiting`` is told the error's words before each wait; what it raises ends it.
    """

    def told(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if waiting is not None and error is not None:
            waiting(describe(error) if isinstance(error, TransportError) else str(error))

    return Retrying(
        before_sleep=told,
        stop=stop_after_delay(seconds) | stop_when_event_set(stop),
        wait=wait_random_exponential(multiplier=0.2, max=_LONGEST_PAUSE),
        sleep=sleep_using_event(stop),
        retry=retry_if_exception(may_pass),
        reraise=True,
    )
