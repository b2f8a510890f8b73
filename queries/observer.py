"""What a searcher tells of its searches, to whoever counts, traces or records them (`ops/metrics/`).

    Searcher(client, "articles", observer=SearchMetrics())

Told in the thread or task that searches, after the result stands: an observer has to be quick, and whatever it raises
is logged and fails no search.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from opensearch_multivector.queries.breaker import Breaker
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.results import SearchResult

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where was searched: ``index`` as the searcher's user named it, and the multi-vector field."""

    index: str
    field: str


class Observer(Protocol):
    """Told of all searches of the searchers that it was given to; any number of threads may tell at once."""

    def watch(self, place: Place, breaker: Breaker) -> None:
        """A searcher was made, whose circuit breaker this is."""

    def searched(self, place: Place, request: SearchRequest, result: SearchResult) -> None:
        """A search has its result, whole or degraded."""

    def failed(self, place: Place, request: SearchRequest, error: BaseException, seconds: float) -> None:
        """A search ended in an error after so many seconds; ``error`` is CancelledError where its task was ended."""


class Observers:
    """Several observers as one."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def watch(self, place: Place, breaker: Breaker) -> None:
        """See `Observer`."""
        for observer in self._observers:
            tell(observer.watch, place, breaker)

    def searched(self, place: Place, request: SearchRequest, result: SearchResult) -> None:
        """See `Observer`."""
        for observer in self._observers:
            tell(observer.searched, place, request, result)

    def failed(self, place: Place, request: SearchRequest, error: BaseException, seconds: float) -> None:
        """See `Observer`."""
        for observer in self._observers:
            tell(observer.failed, place, request, error, seconds)


@contextmanager
def observed(
    observer: Observer | None, place: Place, requests: Sequence[SearchRequest]
) -> Iterator[list[SearchResult]]:
    """Tell what comes of these searches, whose results are put into the list that is given."""
    results: list[SearchResult] = []
    if observer is None:
        yield results
        return
    start = time.perf_counter()
    try:
        yield results
    except BaseException as error:
        seconds = time.perf_counter() - start
        for request in requests:
            tell(observer.failed, place, request, error, seconds)
        raise
    for request, result in zip(requests, results, strict=True):
        tell(observer.searched, place, request, result)


def tell(told: Callable[..., None], *what: Any) -> None:
    """Call an observer's method; what it raises is logged."""
    try:
        told(*what)
    except Exception:
        _LOG.exception("an observer of searches failed")
