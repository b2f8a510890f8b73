"""Every metric there is, in one table: name, kind, labels, what it means.

Names and units go by Prometheus' rules: prefix ``osmv_``, base units (seconds, bytes), counters end in ``_total``,
ratios are from 0 to 1. Labels are bounded: their values are names that an operator gave (indices, fields, canaries,
nodes), or of a fixed list; never a query, a filter, a document or a message. docs/metrics.md shows this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from opensearch_multivector.errors import MissingDependencyError

Kind = Literal["counter", "gauge", "histogram"]

# What a label may hold, where that is a fixed list.
STAGES = ("wait", "encode", "first_stage", "rerank_fetch", "rerank", "fetch")
DEGRADED = ("first_stage", "rerank", "fetch")
FAILURES = ("busy", "budget", "cluster", "mismatch", "input", "dependency", "cancelled", "other")
SKIPPED = ("absent", "no_vectors", "unreadable")
BREAKER = ("closed", "half-open", "open")
FUSION = "fusion"  # first_stage, of several that are fused
CHAIN = "chain"  # rerank, of several that follow each other
NONE = "none"  # rerank, where nothing reranks
OTHER = "other"  # index and field, beyond as many as are told apart
PARTS = ("fields", "sizes", "samples", "nodes", "canaries")
REJECTED = ("auth", "rate", "queue", "size")
MEASURES = ("overlap", "rbo")
AGES = ("oldest", "newest")

# From what a fast first stage takes to what nobody waits for.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COUNTS = (1, 10, 30, 100, 300, 1_000, 3_000, 10_000)


@dataclass(frozen=True, slots=True)
class Metric:
    """``group``: what it is of, as docs/metrics.md divides them. ``buckets``: a histogram's upper bounds."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    group: str
    buckets: tuple[float, ...] = ()


_PLACE = ("index", "field")
_WAY = (*_PLACE, "first_stage", "rerank")
_CANARY = ("canary", *_WAY)


def _search(name: str, kind: Kind, labels: tuple[str, ...], text: str, buckets: tuple[float, ...] = ()) -> Metric:
    return Metric(name, kind, labels, text, "search", buckets)


def _field(name: str, text: str, labels: tuple[str, ...] = (), kind: Kind = "gauge") -> Metric:
    return Metric(name, kind, (*_PLACE, *labels), text, "field")


def _node(name: str, kind: Kind, text: str, labels: tuple[str, ...] = ()) -> Metric:
    return Metric(name, kind, ("node", *labels), text, "node")


def _canary(name: str, text: str, labels: tuple[str, ...] = _CANARY) -> Metric:
    return Metric(name, "gauge", labels, text, "canary")


METRICS = (
    # Of the searches of this process.
    _search("osmv_searches_total", "counter", _WAY, "Searches that gave a result, whole or degraded."),
    _search("osmv_search_failures_total", "counter", (*_PLACE, "reason"), "Searches that ended in an error."),
    _search("osmv_search_seconds", "histogram", _WAY, "Time of a whole search that gave a result.", SECONDS),
    _search("osmv_search_stage_seconds", "histogram", (*_PLACE, "stage"), "Time of one stage of a search.", SECONDS),
    _search(
        "osmv_search_candidates", "histogram", (*_PLACE, "first_stage"), "Documents a first stage handed on.", COUNTS
    ),
    _search("osmv_search_empty_total", "counter", _PLACE, "Searches that found nothing."),
    _search(
        "osmv_search_degraded_total", "counter", (*_PLACE, "stage"), "Searches that left out this stage, or part of it."
    ),
    _search(
        "osmv_search_hedged_total",
        "counter",
        _PLACE,
        "Requests sent a second time, since the first took long; of searches that were answered.",
    ),
    _search("osmv_search_fetched_bytes_total", "counter", _PLACE, "Bytes of stored vectors fetched and scored here."),
    _search(
        "osmv_search_skipped_total",
        "counter",
        (*_PLACE, "reason"),
        "Candidates whose stored vectors could not be read.",
    ),
    _search("osmv_search_stale_hits_total", "counter", _PLACE, "Hits whose score may be that of an earlier text."),
    _search(
        "osmv_search_breaker_state",
        "gauge",
        (*_PLACE, "state"),
        "1 for the state that the rerank's circuit breaker is in.",
    ),
    # Of the attached and indexed fields of the cluster.
    _field(
        "osmv_field_info",
        "Always 1; mode is indexed, in-place, sidecar or new, target the index that holds it.",
        ("mode", "target"),
    ),
    _field("osmv_field_documents", "Documents of the index."),
    _field("osmv_field_covered_documents", "Documents that have something stored for this field."),
    _field("osmv_field_missing_documents", "Documents that have nothing stored and should."),
    _field("osmv_field_orphaned_documents", "Documents of a sidecar that are no longer in the index."),
    _field("osmv_field_dead_letters", "Documents that were refused, and wait for osmv backfill --retry-failed."),
    _field("osmv_field_pending_writes", "Writes nobody has looked at yet: the lag in sequence numbers."),
    _field("osmv_field_workers", "Backfills and followers that are at work."),
    _field("osmv_field_paused", "1 where filling the field is paused."),
    _field(
        "osmv_field_backfill_rate", "Documents per second that the workers may write together, where they are limited."
    ),
    _field("osmv_field_sampled_documents", "Documents in the last random sample."),
    _field("osmv_field_stale_ratio", "Share of the sample whose stored vectors are of an earlier text or write."),
    _field("osmv_field_vectors_bytes", "Mean size of the sample's stored token vectors, per document."),
    _field(
        "osmv_field_codebook_loss_ratio",
        "How much worse the codebook fits the sample than what it was trained on, 1 as well.",
    ),
    _field(
        "osmv_field_codebook_drifted", "1 where the documents are of another kind than the codebook was trained on."
    ),
    _field("osmv_field_codebook_outgrown", "1 where the collection asks for a far larger codebook."),
    _field("osmv_field_store_bytes", "Size of the index that holds the field, without replicas.", ("target",)),
    _field("osmv_field_file_bytes", "The same by what its files hold.", ("target", "content")),
    _field(
        "osmv_field_cache_hits_total",
        "Hits of OpenSearch's cache in the index that holds the field.",
        ("cache",),
        "counter",
    ),
    _field("osmv_field_cache_misses_total", "Misses of the same cache.", ("cache",), "counter"),
    # Of the native plugin.
    _node(
        "osmv_node_info",
        "gauge",
        "Always 1; the native plugin's version and the kernel it computes with.",
        ("version", "kernel"),
    ),
    _node("osmv_node_maxsim_searches_total", "counter", "Searches of one shard each that the native plugin scored."),
    _node("osmv_node_maxsim_documents_total", "counter", "Documents that the native plugin scored."),
    _node("osmv_node_maxsim_seconds_total", "counter", "Time that the native plugin took to score, over all threads."),
    _node("osmv_node_maxsim_read_bytes_total", "counter", "Bytes of stored vectors that the native plugin read."),
    _node("osmv_node_maxsim_damaged_total", "counter", "Stored vectors that the native plugin could not read."),
    _node("osmv_node_codebooks", "gauge", "Codebooks in the node's memory."),
    _node("osmv_node_codebook_bytes", "gauge", "Their size."),
    _node("osmv_node_codebook_loads_total", "counter", "How often a codebook had to be loaded."),
    _node("osmv_node_breaker_limit_bytes", "gauge", "Memory that the native plugin may take before it refuses."),
    _node("osmv_node_breaker_used_bytes", "gauge", "Memory that it takes."),
    _node("osmv_node_breaker_tripped_total", "counter", "How often it refused for lack of memory."),
    # Of recall canaries (ops/canary), as last checked.
    _canary("osmv_canary_recall", "Share of the exact top k among the first stage's candidates.", (*_CANARY, "k")),
    _canary(
        "osmv_canary_agreement", "How far the final page agrees with the exact one, by measure.", (*_CANARY, "measure")
    ),
    _canary(
        "osmv_canary_age_recall",
        "The same recall for the oldest and the newest quarter of the documents.",
        (*_CANARY, "documents"),
    ),
    _canary("osmv_canary_failing", "1 where the last check fell below its floor or its baseline."),
    _canary("osmv_canary_baseline_recall", "Recall of the check that checks are held against."),
    _canary(
        "osmv_canary_error", "1 where the last check could not be made, so that it has no recall.", ("canary", *_PLACE)
    ),
    _canary("osmv_canary_queries", "Queries of the canary.", ("canary", *_PLACE)),
    _canary(
        "osmv_canary_lost_documents",
        "Exact answers whose documents are there and whose stored vectors are not, or not readable.",
        ("canary", *_PLACE),
    ),
    _canary(
        "osmv_canary_outdated_ratio",
        "Share of the index's documents added since the exact answers were made.",
        ("canary", *_PLACE),
    ),
    _canary("osmv_canary_checked_timestamp_seconds", "When it was last checked.", ("canary", *_PLACE)),
    _canary("osmv_canary_check_seconds", "How long the last check took.", ("canary", *_PLACE)),
    # Of `osmv serve`.
    Metric("osmv_service_requests_total", "counter", ("route", "status"), "Requests answered.", "service"),
    Metric(
        "osmv_service_request_seconds", "histogram", ("route",), "Time until the answer was sent.", "service", SECONDS
    ),
    Metric(
        "osmv_service_rejected_total", "counter", ("reason",), "Requests turned away before they searched.", "service"
    ),
    Metric("osmv_service_in_flight", "gauge", (), "Requests that are being answered.", "service"),
    Metric("osmv_service_queue_length", "gauge", (), "Requests that wait for their turn.", "service"),
    Metric("osmv_service_queue_limit", "gauge", (), "Requests that may wait before others get 429.", "service"),
    # Of sampled search events (events.py).
    Metric("osmv_events_written_total", "counter", (), "Search events written to the cluster.", "events"),
    Metric(
        "osmv_events_dropped_total", "counter", ("reason",), "Search events lost: queue full, or refused.", "events"
    ),
    # Of asking the cluster itself.
    Metric("osmv_exporter_up", "gauge", ("part",), "1 where the cluster was last asked with success.", "exporter"),
    Metric("osmv_exporter_age_seconds", "gauge", ("part",), "How old what is shown is.", "exporter"),
    Metric("osmv_exporter_seconds", "gauge", ("part",), "How long the cluster was last asked.", "exporter"),
    Metric("osmv_exporter_errors_total", "counter", ("part",), "How often asking the cluster failed.", "exporter"),
    Metric("osmv_build_info", "gauge", ("version",), "Always 1.", "exporter"),
)

BY_NAME = {metric.name: metric for metric in METRICS}


def make(name: str, registry: Any = None) -> Any:
    """The prometheus_client collector of that name, registered; None: in the library's own registry.

    Raises MissingDependencyError.
    """
    client = prometheus()
    metric = BY_NAME[name]
    options: dict[str, Any] = {"registry": client.REGISTRY if registry is None else registry}
    if metric.buckets:
        options["buckets"] = metric.buckets
    return getattr(client, metric.kind.capitalize())(name, metric.help, metric.labels, **options)


def family(name: str) -> Any:
    """An empty family of that name for `add_metric(label_values, value)`, of what is read at scrape time.

    Raises MissingDependencyError.
    """
    prometheus()
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    metric = BY_NAME[name]
    made = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return made(name, metric.help, labels=metric.labels)


def prometheus() -> Any:
    """The package prometheus_client. Raises MissingDependencyError."""
    try:
        import prometheus_client
    except ImportError:
        raise MissingDependencyError(
            "metrics need prometheus-client: pip install 'opensearch-multivector[ops]'"
        ) from None
    return prometheus_client
