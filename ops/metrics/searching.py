"""Counts and times the searches of this process, as Prometheus' collectors."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from opensearch_multivector.errors import (
    BudgetError,
    BusyError,
    ClusterError,
    InputError,
    MismatchError,
    MissingDependencyError,
)
from opensearch_multivector.ops.metrics.names import (
    BREAKER,
    CHAIN,
    DEGRADED,
    FUSION,
    NONE,
    OTHER,
    STAGES,
    family,
    make,
)
from opensearch_multivector.ops.metrics.names import prometheus as prometheus_client
from opensearch_multivector.queries.breaker import Breaker
from opensearch_multivector.queries.first_stages import parse_first_stages
from opensearch_multivector.queries.observer import Place
from opensearch_multivector.queries.plan import ABSENT
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.rerankers import RERANKERS
from opensearch_multivector.queries.results import SearchResult

# The first that fits; subclasses come before their base.
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (BusyError, "busy"),
    (BudgetError, "budget"),
    (ClusterError, "cluster"),
    (MismatchError, "mismatch"),
    (InputError, "input"),
    (MissingDependencyError, "dependency"),
    (asyncio.CancelledError, "cancelled"),
    (KeyboardInterrupt, "cancelled"),
)
_NO_VECTORS = {reranker.missing for reranker in RERANKERS.values() if hasattr(reranker, "missing")}


@dataclass(frozen=True, slots=True)
class _Way:
    """What each search of one way adds to; finding it by its labels takes longer than adding."""

    searches: Any
    seconds: Any
    candidates: Any
    stages: dict[str, Any] = field(default_factory=dict)


class SearchMetrics:
    """An `Observer` whose collectors are in ``registry`` (None: prometheus_client's own).

    Make one for each registry. No more than ``places`` pairs of index and field are told apart: an application that
    searches indices without end counts the rest as "other". Raises MissingDependencyError.
    """

    def __init__(self, registry: Any = None, places: int = 100) -> None:
        self._most = places
        self._places: set[Place] = set()
        self._ways: dict[tuple[tuple[str, str], str, str], _Way] = {}
        self._breakers: dict[Place, weakref.WeakSet[Breaker]] = {}
        self._lock = threading.Lock()
        self._searches = make("osmv_searches_total", registry)
        self._failures = make("osmv_search_failures_total", registry)
        self._seconds = make("osmv_search_seconds", registry)
        self._stage_seconds = make("osmv_search_stage_seconds", registry)
        self._candidates = make("osmv_search_candidates", registry)
        self._empty = make("osmv_search_empty_total", registry)
        self._degraded = make("osmv_search_degraded_total", registry)
        self._hedged = make("osmv_search_hedged_total", registry)
        self._fetched = make("osmv_search_fetched_bytes_total", registry)
        self._skipped = make("osmv_search_skipped_total", registry)
        self._stale = make("osmv_search_stale_hits_total", registry)
        (registry or prometheus_client().REGISTRY).register(self)

    def watch(self, place: Place, breaker: Breaker) -> None:
        """See `Observer`."""
        labels = self._labels(place)
        with self._lock:
            self._breakers.setdefault(Place(*labels), weakref.WeakSet()).add(breaker)

    def searched(self, place: Place, request: SearchRequest, result: SearchResult) -> None:
        """See `Observer`."""
        labels = self._labels(place)
        way = self._way(labels, first_stage_label(request.first_stage), rerank_label(result.rerank))
        way.searches.inc()
        way.seconds.observe(result.timings["total"] / 1e3)
        way.candidates.observe(result.candidates)
        for stage in STAGES:
            if stage in result.timings:
                if stage not in way.stages:
                    way.stages[stage] = self._stage_seconds.labels(*labels, stage)
                way.stages[stage].observe(result.timings[stage] / 1e3)
        if result.fetched_bytes:
            self._fetched.labels(*labels).inc(result.fetched_bytes)
        if not result.hits:
            self._empty.labels(*labels).inc()
        if result.hedged:
            self._hedged.labels(*labels).inc(result.hedged)
        if stale := result.stale:
            self._stale.labels(*labels).inc(stale)
        for stage in degraded_stages(result):
            self._degraded.labels(*labels, stage).inc()
        for why in result.skipped.values():
            self._skipped.labels(*labels, skipped_label(why)).inc()

    def failed(self, place: Place, request: SearchRequest, error: BaseException, seconds: float) -> None:
        """See `Observer`."""
        self._failures.labels(*self._labels(place), failure_label(error)).inc()

    def describe(self) -> Iterator[Any]:
        """What `collect` gives, for the registry."""
        yield family("osmv_search_breaker_state")

    def collect(self) -> Iterator[Any]:
        """The circuit breakers as they are at this moment; of several of one place the one that is most open."""
        states = family("osmv_search_breaker_state")
        with self._lock:
            watched = [(place, list(breakers)) for place, breakers in self._breakers.items()]
        for place, breakers in watched:
            if breakers:
                worst = max((breaker.state for breaker in breakers), key=BREAKER.index)
                for state in BREAKER:
                    states.add_metric([place.index, place.field, state], float(state == worst))
        yield states

    def _way(self, labels: tuple[str, str], first_stage: str, rerank: str) -> _Way:
        key = (labels, first_stage, rerank)
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = _Way(
                self._searches.labels(*labels, first_stage, rerank),
                self._seconds.labels(*labels, first_stage, rerank),
                self._candidates.labels(*labels, first_stage),
            )
        return way

    def _labels(self, place: Place) -> tuple[str, str]:
        if place not in self._places:
            with self._lock:
                if len(self._places) >= self._most:
                    return OTHER, OTHER
                self._places.add(place)
        return place.index, place.field


@lru_cache(maxsize=256)
def first_stage_label(expression: str) -> str:
    """A first stage's name without its parameters; several that are fused are one."""
    (first, *others) = parse_first_stages(expression).stages
    return FUSION if others else first.name


def rerank_label(names: tuple[str, ...]) -> str:
    """A rerank's name without its parameters; several that follow each other are one."""
    return CHAIN if len(names) > 1 else names[0] if names else NONE


def failure_label(error: BaseException) -> str:
    """Of which kind an error is, of `FAILURES`."""
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "other")


def skipped_label(reason: str) -> str:
    """Of which kind the reason is that a candidate was left out for, of `SKIPPED`."""
    return "absent" if reason == ABSENT else "no_vectors" if reason in _NO_VECTORS else "unreadable"


def degraded_stages(result: SearchResult) -> list[str]:
    """The stages that a result lacks, of `DEGRADED`, each once."""
    told = {sentence.partition(":")[0] for sentence in result.degraded}
    return [stage for stage in DEGRADED if stage in told]
