"""Which metrics, labels and values a PromQL expression names, as far as the dashboards' and alerts' own go."""

from __future__ import annotations

import re
from collections.abc import Iterator

from opensearch_multivector.ops.metrics import names
from opensearch_multivector.ops.metrics.names import BY_NAME, Metric

_SELECTOR = re.compile(r"\b(?P<name>osmv_\w+|up|ALERTS)\b(?:\{(?P<matchers>[^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
# What Prometheus adds by itself.
_OF_PROMETHEUS = {"instance", "job", "alertname", "alertstate"}
_VALUES = {
    ("osmv_search_failures_total", "reason"): names.FAILURES,
    ("osmv_search_skipped_total", "reason"): names.SKIPPED,
    ("osmv_search_breaker_state", "state"): names.BREAKER,
    ("osmv_service_rejected_total", "reason"): names.REJECTED,
    ("osmv_canary_age_recall", "documents"): names.AGES,
    ("osmv_canary_agreement", "measure"): names.MEASURES,
    ("osmv_exporter_up", "part"): names.PARTS,
}


def metric_of(series: str) -> Metric | None:
    """The metric that a series is of; a histogram has three kinds of them."""
    if series in BY_NAME:
        return BY_NAME[series] if BY_NAME[series].kind != "histogram" else None
    name = re.sub("_(bucket|sum|count)$", "", series)
    metric = BY_NAME.get(name)
    return metric if metric is not None and metric.kind == "histogram" else None


def labels_of(expression: str) -> set[str]:
    """All labels that the metrics of an expression have."""
    found = set(_OF_PROMETHEUS)
    for match in _SELECTOR.finditer(expression):
        metric = metric_of(match["name"])
        found |= set(metric.labels) if metric else set()
        found |= {"le"} if match["name"].endswith("_bucket") else set()
    return found


def mistakes(expression: str) -> Iterator[str]:
    """What an expression names that there is not."""
    for match in _SELECTOR.finditer(expression):
        name = match["name"]
        if name in ("up", "ALERTS"):
            continue
        metric = metric_of(name)
        if metric is None:
            yield f"no metric {name}"
            continue
        for label, value in _MATCHER.findall(match["matchers"] or ""):
            if label not in {*metric.labels, "le", *_OF_PROMETHEUS}:
                yield f"{name} has no label {label}"
            values = _VALUES.get((name, label))
            if values and not value.startswith("$"):
                yield from (f"{name}: {label} is never {each!r}" for each in value.split("|") if each not in values)
    for group in _GROUPING.findall(expression):
        for label in filter(None, map(str.strip, group.split(","))):
            if label not in labels_of(expression):
                yield f"no label {label} in {expression}"
