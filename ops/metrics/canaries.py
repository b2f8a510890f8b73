"""The last checks of the recall canaries, as Prometheus is shown them."""

from __future__ import annotations

from opensearchpy import OpenSearch

from opensearch_multivector.ops.canary.results import Check, Outcome
from opensearch_multivector.ops.canary.watch import latest
from opensearch_multivector.ops.metrics.cluster import Readings


def read_canaries(client: OpenSearch, into: Readings) -> None:
    """What the last check of each canary found, whoever made it."""
    for check in latest(client):
        add_check(check, into)


def add_check(check: Check, into: Readings) -> None:
    """One check. Stages and reranks are labelled as the canary names them, parameters and all: these are few."""
    place = {"canary": check.canary, "index": check.index, "field": check.field}
    into.add("osmv_canary_error", check.error is not None, **place)
    into.add("osmv_canary_queries", check.queries, **place)
    into.add("osmv_canary_outdated_ratio", check.outdated, **place)
    into.add("osmv_canary_lost_documents", check.lost, **place)
    into.add("osmv_canary_checked_timestamp_seconds", check.at, **place)
    into.add("osmv_canary_check_seconds", check.seconds, **place)
    for outcome in check.outcomes:
        _add_outcome(check, outcome, place | {"first_stage": outcome.first_stage, "rerank": outcome.rerank}, into)


def _add_outcome(check: Check, outcome: Outcome, way: dict[str, str], into: Readings) -> None:
    into.add("osmv_canary_recall", outcome.recall, **way, k=str(outcome.depth(check.k, check.window_size)))
    into.add("osmv_canary_failing", bool(outcome.alarms), **way)
    for measure, value in (("overlap", outcome.overlap), ("rbo", outcome.rbo)):
        if value is not None:
            into.add("osmv_canary_agreement", value, **way, measure=measure)
    for documents, value in (("oldest", outcome.recall_oldest), ("newest", outcome.recall_newest)):
        if value is not None:
            into.add("osmv_canary_age_recall", value, **way, documents=documents)
    if outcome.baseline_recall is not None:
        into.add("osmv_canary_baseline_recall", outcome.baseline_recall, **way)
