"""Searches as documents: a sample of them is written to `osmv-events-YYYY.MM`, for OpenSearch Dashboards and the like.

Off unless somebody makes a `SearchEvents`. An event says how a search went, never what was searched for: no query, no
filter, no document; with ``text=True`` it has the query's text, too. Writing is done by a thread of its own. What
comes faster than the cluster takes it is dropped, and counted.
"""

from __future__ import annotations

import calendar
import logging
import queue
import random
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException, TransportError

from opensearch_multivector.errors import InputError
from opensearch_multivector.ops.metrics.names import STAGES, make
from opensearch_multivector.ops.metrics.searching import (
    degraded_stages,
    failure_label,
    first_stage_label,
    rerank_label,
)
from opensearch_multivector.plugin.cluster_errors import describe
from opensearch_multivector.queries.breaker import Breaker
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.observer import Place
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.results import SearchResult

# An alias over the months.
EVENTS = "osmv-events"
WHOLE, DEGRADED, FAILED = "whole", "degraded", "failed"

_MONTH = re.compile(re.escape(EVENTS) + r"-(\d{4})\.(\d{2})")
_KEYWORD = {"type": "keyword"}
_COUNT = {"type": "integer"}
_TEMPLATE = {
    "index_patterns": [f"{EVENTS}-*"],
    "template": {
        "aliases": {EVENTS: {}},
        "settings": {"index": {"number_of_shards": 1, "auto_expand_replicas": "0-1", "refresh_interval": "10s"}},
        "mappings": {
            "dynamic": False,
            "properties": {
                "@timestamp": {"type": "date"},
                "index": _KEYWORD,
                "field": _KEYWORD,
                "first_stage": _KEYWORD,
                "rerank": _KEYWORD,
                "outcome": _KEYWORD,
                "reason": _KEYWORD,
                "degraded": _KEYWORD,
                "weight": {"type": "float"},
                "size": _COUNT,
                "window_size": _COUNT,
                "filtered": {"type": "boolean"},
                "hits": _COUNT,
                "candidates": _COUNT,
                "skipped": _COUNT,
                "stale": _COUNT,
                "hedged": _COUNT,
                "fetched_bytes": {"type": "long"},
                "top_score": {"type": "float"},
                "seconds": {"properties": {name: {"type": "float"} for name in ("total", "first_stage_took", *STAGES)}},
                "text": {"type": "text", "fields": {"keyword": _KEYWORD | {"ignore_above": 256}}},
            },
        },
    },
}
_BATCH = 500
_TRIES = 3
_DAY = 86_400.0
_LOG = logging.getLogger(__name__)


class SearchEvents:
    """An `Observer` that writes a random share ``sample`` of all searches to the cluster.

    ``text``: with the query's text. ``days``: a month is deleted when its last day is longer ago; 0: never.
    ``waiting``: events that wait for being written, at most; each time one comes or ``every`` seconds are over, they go
    out together. ``registry``: of prometheus_client, for what was written and dropped (None: not counted there). Close
    it at the end, or use it in a `with`. Raises InputError on options that make no sense.
    """

    def __init__(
        self,
        client: OpenSearch,
        sample: float = 0.01,
        *,
        text: bool = False,
        days: int = 90,
        waiting: int = 1_000,
        every: float = 5.0,
        registry: Any = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not 0 < sample <= 1:
            raise InputError(f"the sample of search events is a share above 0 and at most 1, not {sample}")
        if days < 0 or waiting < 1:
            raise InputError(f"days is at least 0 and waiting 1, not {days} and {waiting}")
        self._client = client
        self._sample = sample
        self._text = text
        self._days = days
        self._every = every
        self._clock = clock
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue(waiting)
        self._closing = threading.Event()
        self._cleaned: float | None = None
        self._ready = False
        self._told = ""
        self._written = make("osmv_events_written_total", registry) if registry is not None else None
        self._dropped = make("osmv_events_dropped_total", registry) if registry is not None else None
        self._counting = threading.Lock()
        self.written = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="osmv-events", daemon=True)
        self._thread.start()

    def __enter__(self) -> SearchEvents:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, timeout: float = 10.0) -> None:
        """Write what waits, for so many seconds at most. What comes later is dropped."""
        self._closing.set()
        self._thread.join(timeout)

    def watch(self, place: Place, breaker: Breaker) -> None:
        """See `Observer`."""

    def searched(self, place: Place, request: SearchRequest, result: SearchResult) -> None:
        """See `Observer`."""
        if random.random() >= self._sample:
            return
        degraded = degraded_stages(result)
        event = self._event(place, request, DEGRADED if degraded else WHOLE) | {
            "rerank": rerank_label(result.rerank),
            "degraded": degraded,
            "hits": len(result.hits),
            "candidates": result.candidates,
            "skipped": len(result.skipped),
            "stale": result.stale,
            "hedged": result.hedged,
            "fetched_bytes": result.fetched_bytes,
            "seconds": {name: round(value / 1e3, 6) for name, value in result.timings.items()},
        }
        if result.hits:
            event["top_score"] = result.hits[0].score
        self._put(event)

    def failed(self, place: Place, request: SearchRequest, error: BaseException, seconds: float) -> None:
        """See `Observer`."""
        if random.random() >= self._sample:
            return
        event = self._event(place, request, FAILED)
        self._put(event | {"reason": failure_label(error), "seconds": {"total": round(seconds, 6)}})

    def _event(self, place: Place, request: SearchRequest, outcome: str) -> dict[str, Any]:
        event = {
            "@timestamp": self._clock().isoformat(timespec="milliseconds"),
            "index": place.index,
            "field": place.field,
            "first_stage": first_stage_label(request.first_stage),
            "outcome": outcome,
            "weight": 1 / self._sample,
            "size": request.size,
            "window_size": request.window_size,
            "filtered": request.filter is not None,
        }
        if self._text:
            query = request.query
            event["text"] = query.text if isinstance(query, EncodedQuery) else query
        return event

    def _put(self, event: dict[str, Any]) -> None:
        if self._closing.is_set():
            self._lost(1, "closed")
            return
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._lost(1, "full")

    def _run(self) -> None:
        while not (self._closing.is_set() and self._queue.empty()):
            batch = self._next_batch()
            if batch:
                self._write(batch)
            if self._cleaned is None or time.monotonic() - self._cleaned > _DAY:
                self._cleaned = time.monotonic()
                self._clean()

    def _next_batch(self) -> list[dict[str, Any]]:
        """What has come within ``every`` seconds, or as much as goes out at once."""
        batch: list[dict[str, Any]] = []
        until = time.monotonic() + self._every
        while len(batch) < _BATCH:
            left = until - time.monotonic()
            if self._closing.is_set():
                left = 0.0
            try:
                # Not for long, as closing is to be noticed.
                batch.append(self._queue.get(timeout=min(left, 0.2)) if left > 0 else self._queue.get_nowait())
            except queue.Empty:
                if left <= 0:
                    break
        return batch

    def _write(self, batch: list[dict[str, Any]]) -> None:
        lines: list[dict[str, Any]] = []
        for event in batch:
            lines += [{"create": {"_index": f"{EVENTS}-{event['@timestamp'][:7].replace('-', '.')}"}}, event]
        for attempt in range(_TRIES):
            try:
                self._make_template()
                items = self._client.bulk(body=lines)["items"]
            except OpenSearchException as error:
                self._tell(describe(error))
                if attempt + 1 == _TRIES:
                    break
                self._closing.wait(2.0**attempt)  # closing, it is tried again at once
                continue
            refused = [item["create"]["error"] for item in items if "error" in item["create"]]
            if refused:
                self._tell(str(refused[0].get("reason")))
                self._lost(len(refused), "refused")
            self._count(len(items) - len(refused))
            return
        self._lost(len(batch), "refused")

    def _make_template(self) -> None:
        if not self._ready:
            self._client.indices.put_index_template(name=EVENTS, body=_TEMPLATE)
            self._ready = True

    def _clean(self) -> None:
        """Delete the months that are over for so many days."""
        if not self._days:
            return
        try:
            there = self._client.indices.get_alias(index=f"{EVENTS}-*", params={"filter_path": "*.aliases"})
            before = self._clock().date() - timedelta(days=self._days)
            for name in there:
                month = _MONTH.fullmatch(name)
                if month and _last_day(int(month[1]), int(month[2])) < before:
                    self._client.indices.delete(index=name, params={"ignore_unavailable": "true"})
        except TransportError as error:
            if error.status_code != 404:
                self._tell(describe(error))
        except OpenSearchException as error:
            self._tell(describe(error))

    def _count(self, number: int) -> None:
        with self._counting:
            self.written += number
        if self._written is not None:
            self._written.inc(number)

    def _lost(self, number: int, reason: str) -> None:
        with self._counting:
            self.dropped += number
        if self._dropped is not None:
            self._dropped.labels(reason).inc(number)

    def _tell(self, what: str) -> None:
        if what != self._told:
            _LOG.warning("search events: %s", what)
        self._told = what


def _last_day(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])
