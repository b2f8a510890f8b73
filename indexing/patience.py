"""Waiting for a cluster that is busy, blocked or out of reach for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
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
        wait=wait_random_exponential(multiplier=0.2, max=15),
        sleep=sleep_using_event(stop),
        retry=retry_if_exception(may_pass),
        reraise=True,
    )
