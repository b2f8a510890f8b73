"""Searches as OpenTelemetry traces: a span for each, with one span per stage in it.

The spans are made when the search is over, from its timings, so that a search which nobody traces costs nothing and
one that is traced next to nothing. They belong to the span that is current where the search was made. A stage that
takes several rounds is one span, and stages lie one after the other as they began.
"""

from __future__ import annotations

import time
from typing import Any

from opensearch_multivector.errors import MissingDependencyError
from opensearch_multivector.ops.metrics.names import STAGES
from opensearch_multivector.ops.metrics.searching import (
    degraded_stages,
    failure_label,
    first_stage_label,
    rerank_label,
)
from opensearch_multivector.queries.breaker import Breaker
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.observer import Place
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.results import SearchResult

_NAME = "opensearch_multivector"


class SearchTraces:
    """An `Observer` that makes spans; ``provider`` is OpenTelemetry's TracerProvider (None: the process's own).

    ``text``: with the query's text, and with errors' messages. Raises MissingDependencyError.
    """

    def __init__(self, provider: Any = None, *, text: bool = False) -> None:
        self._api = _opentelemetry()
        self._tracer = self._api.get_tracer(_NAME, tracer_provider=provider)
        self._text = text
        self._provider = provider

    def close(self) -> None:
        """Send what waits, and end the provider that was given."""
        if self._provider is not None:
            self._provider.shutdown()

    def watch(self, place: Place, breaker: Breaker) -> None:
        """See `Observer`."""

    def searched(self, place: Place, request: SearchRequest, result: SearchResult) -> None:
        """See `Observer`."""
        end = time.time_ns()
        at = end - _nanoseconds(result.timings["total"])
        span = self._begin(place, request, at)
        span.set_attributes(
            {
                "osmv.rerank": rerank_label(result.rerank),
                "osmv.hits": len(result.hits),
                "osmv.candidates": result.candidates,
                "osmv.skipped": len(result.skipped),
                "osmv.stale": result.stale,
                "osmv.hedged": result.hedged,
                "osmv.fetched_bytes": result.fetched_bytes,
                "osmv.degraded": degraded_stages(result),
            }
        )
        inside = self._api.set_span_in_context(span)
        for stage in STAGES:
            if stage in result.timings:
                stage_span = self._tracer.start_span(f"osmv.{stage}", context=inside, start_time=at)
                at = min(end, at + _nanoseconds(result.timings[stage]))
                stage_span.end(end_time=at)
        span.end(end_time=end)

    def failed(self, place: Place, request: SearchRequest, error: BaseException, seconds: float) -> None:
        """See `Observer`."""
        end = time.time_ns()
        span = self._begin(place, request, end - _nanoseconds(seconds * 1e3))
        span.set_attributes({"error.type": type(error).__name__, "osmv.reason": failure_label(error)})
        # A message may quote what was searched for.
        span.set_status(self._api.StatusCode.ERROR, str(error) if self._text else None)
        span.end(end_time=end)

    def _begin(self, place: Place, request: SearchRequest, at: int) -> Any:
        attributes = {
            "db.system.name": "opensearch",
            "db.operation.name": "search",
            "db.collection.name": place.index,
            "osmv.field": place.field,
            "osmv.first_stage": first_stage_label(request.first_stage),
            "osmv.size": request.size,
            "osmv.window_size": request.window_size,
            "osmv.filtered": request.filter is not None,
        }
        if self._text:
            query = request.query
            attributes["db.query.text"] = (query.text if isinstance(query, EncodedQuery) else query) or ""
        kind = self._api.SpanKind.CLIENT
        return self._tracer.start_span("osmv.search", kind=kind, attributes=attributes, start_time=at)


def traces_over_http(service: str = "osmv", *, text: bool = False) -> SearchTraces:
    """Traces that go out by OTLP over HTTP, to where OpenTelemetry's own variables say.

    ``OTEL_EXPORTER_OTLP_ENDPOINT`` (http://localhost:4318 unless set), ``OTEL_SERVICE_NAME``, ``OTEL_TRACES_SAMPLER``
    and their companions hold. Raises MissingDependencyError.
    """
    _opentelemetry()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise _missing() from None
    resource = Resource.create({"service.name": service}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return SearchTraces(provider, text=text)


def _opentelemetry() -> Any:
    try:
        from opentelemetry import trace
    except ImportError:
        raise _missing() from None
    return trace


def _missing() -> MissingDependencyError:
    return MissingDependencyError("traces need OpenTelemetry: pip install 'opensearch-multivector[otel]'")


def _nanoseconds(milliseconds: float) -> int:
    return int(milliseconds * 1e6)
