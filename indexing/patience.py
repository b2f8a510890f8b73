"""Waiting for a cluster that is busy, blocked or out of reach for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from opensearchpy.exceptions import ConnectionError as OpenSearchConnectionError
from opensearchpy.exceptions import SSLError, TransportError
from tenacity import Retrying, retry_if_exception, stop_after_delay, stop_when_event_set, wait_random_exponential
from tenacity.nap import sleep_using_event

from opensearch_multivector.errors import ClusterError

BUSY = frozenset({429, 502, 503, 504})  # HTTP statuses of what may pass

Answer = TypeVar("Answer")


class Patience:
    """Calls again what the cluster could not do now, for ``seconds`` and with exponential back-off."""

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        self.seconds = seconds
        self._stop = stop

    def __call__(self, call: Callable[[], Answer]) -> Answer:
        """What ``call`` returns in the end. Raises what it raised last where patience runs out."""
        return retrying(self.seconds, self._stop, _may_pass)(call)


def retrying(seconds: float, stop: threading.Event, may_pass: Callable[[BaseException], bool]) -> Retrying:
    """Tries again for ``seconds``, or until ``stop`` is set, what ended by an error that may pass."""
    return Retrying(
        stop=stop_after_delay(seconds) | stop_when_event_set(stop),
        wait=wait_random_exponential(multiplier=0.2, max=15),
        sleep=sleep_using_event(stop),
        retry=retry_if_exception(may_pass),
        reraise=True,
    )


def _may_pass(error: BaseException) -> bool:
    cause = error.__cause__ if isinstance(error, ClusterError) else error
    if isinstance(cause, OpenSearchConnectionError):
        return not isinstance(cause, SSLError)
    return isinstance(cause, TransportError) and cause.status_code in BUSY
