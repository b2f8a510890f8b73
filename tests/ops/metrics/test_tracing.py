"""Searches as spans."""

from __future__ import annotations

import json

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from opensearch_multivector.errors import BudgetError
from opensearch_multivector.ops.metrics.tracing import SearchTraces, traces_over_http
from opensearch_multivector.queries.observer import Place
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.results import SearchResult

PLACE = Place("articles", "mv")
SECRET = "nobody's concern"
TIMINGS = {"encode": 2.0, "first_stage": 5.0, "first_stage_took": 4.0, "rerank": 3.0, "fetch": 1.0, "total": 12.0}
RESULT = SearchResult([], 9, 7, {}, TIMINGS, ("fetch: broke",), rerank=("client",), fetched_bytes=5)


@pytest.fixture
def kept() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(kept: InMemorySpanExporter) -> TracerProvider:
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(kept))
    return made


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def test_a_search_is_a_span_with_one_for_each_stage_within_the_callers(
    kept: InMemorySpanExporter, provider: TracerProvider
) -> None:
    with provider.get_tracer("app").start_as_current_span("request") as outer:
        SearchTraces(provider).searched(PLACE, SearchRequest(SECRET, rerank="client"), RESULT)
    *stages, search, _ = kept.get_finished_spans()
    assert [span.name for span in stages] == ["osmv.encode", "osmv.first_stage", "osmv.rerank", "osmv.fetch"]
    assert search.parent is not None
    assert search.parent.span_id == outer.get_span_context().span_id
    assert {span.parent.span_id for span in stages if span.parent} == {search.context.span_id}
    assert [round(seconds(span), 6) for span in (*stages, search)] == [0.002, 0.005, 0.003, 0.001, 0.012]
    assert [span.start_time for span in stages[1:]] == [span.end_time for span in stages[:-1]]
    assert stages[0].start_time == search.start_time
    attributes = dict(search.attributes or {})
    assert attributes["db.collection.name"] == "articles"
    assert (attributes["osmv.rerank"], attributes["osmv.degraded"]) == ("client", ("fetch",))
    assert SECRET not in json.dumps([span.to_json() for span in kept.get_finished_spans()])


def test_stages_never_end_after_the_search(kept: InMemorySpanExporter, provider: TracerProvider) -> None:
    """Of timings that add up to more, as clocks do."""
    result = SearchResult([], 0, 0, {}, {"encode": 9.0, "first_stage": 9.0, "total": 10.0})
    SearchTraces(provider).searched(PLACE, SearchRequest("any"), result)
    *stages, search = kept.get_finished_spans()
    assert max(span.end_time or 0 for span in stages) <= (search.end_time or 0)


def test_a_failure_says_its_kind_and_its_message_only_where_asked(
    kept: InMemorySpanExporter, provider: TracerProvider
) -> None:
    for text in (False, True):
        traces = SearchTraces(provider, text=text)
        traces.failed(PLACE, SearchRequest(SECRET), BudgetError(f"{SECRET}: late"), 0.25)
    silent, open_ = kept.get_finished_spans()
    for span in (silent, open_):
        assert span.status.status_code is StatusCode.ERROR
        assert seconds(span) == pytest.approx(0.25)
        assert dict(span.attributes or {})["osmv.reason"] == "budget"
    assert SECRET not in silent.to_json()
    assert dict(open_.attributes or {})["db.query.text"] == SECRET


def test_over_http_goes_by_opentelemetrys_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    got: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
        traces = traces_over_http()
        traces.searched(PLACE, SearchRequest(SECRET), RESULT)
        traces.close()
        server.shutdown()
    ((path, body),) = got
    assert path == "/v1/traces"
    assert b"osmv.first_stage" in body
    assert b"shop" in body
    assert SECRET.encode() not in body
