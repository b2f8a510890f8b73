"""The dashboards for Grafana, which can't run here: their structure, and that all they ask for is there."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import pytest
from dashboards import GRAFANA, queries
from promql import labels_of, metric_of, mistakes

from opensearch_multivector.ops.metrics.names import METRICS

# Those of Grafana's own list that make sense for what is shown.
UNITS = {"s", "bytes", "Bps", "percentunit", "short", "reqps", "cps"}
PANELS = {"row", "stat", "timeseries", "heatmap", "table", "state-timeline"}
UNIT_OF = (("_seconds", "s"), ("_bytes", "bytes"), ("_ratio", "percentunit"))
each_dashboard = pytest.mark.parametrize("dashboard", GRAFANA.values(), ids=GRAFANA)


def test_there_are_three_that_know_each_other() -> None:
    uids = {dashboard["uid"] for dashboard in GRAFANA.values()}
    assert uids == {"osmv-searches", "osmv-fields", "osmv-canaries"}
    assert all("osmv" in board["tags"] and board["links"][0]["tags"] == ["osmv"] for board in GRAFANA.values())


@each_dashboard
def test_its_structure(dashboard: dict[str, Any]) -> None:
    assert dashboard["schemaVersion"] >= 36  # from which on a data source is named by type and uid
    assert "id" not in dashboard  # or an import would overwrite some other one
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] in PANELS, panel["title"]
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert refs
        assert len(set(refs)) == len(refs)


@each_dashboard
def test_no_panel_lies_on_another(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert place["w"] > 0
        assert place["h"] > 0
    for one, other in combinations(dashboard["panels"], 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


@each_dashboard
def test_its_variables(dashboard: dict[str, Any]) -> None:
    variables = dashboard["templating"]["list"]
    assert (variables[0]["name"], variables[0]["type"], variables[0]["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    known = {variable["name"] for variable in variables} | {"__rate_interval"}
    for variable in variables[1:]:
        metric, label = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variable["query"]["query"]).groups()
        assert label in metric_of(metric).labels
        assert not list(mistakes(variable["query"]["query"].partition("(")[2]))
    for title, expression, _ in queries(dashboard):
        assert set(re.findall(r"\$\{?(\w+)", expression)) <= known, title


@each_dashboard
def test_every_metric_and_label_is_there(dashboard: dict[str, Any]) -> None:
    for title, expression, legend in queries(dashboard):
        assert not list(mistakes(expression)), title
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= labels_of(expression), title


@each_dashboard
def test_units_are_those_of_the_metrics(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            bare = re.fullmatch(
                r"(?:(?:max|min|sum)(?: by \([\w, ]*\))? ?\()?(osmv_\w+)(?:\{[^}]*\})?\)?", target["expr"]
            )
            for ending, unit in UNIT_OF:
                if bare and bare[1].endswith(ending):
                    assert panel["fieldConfig"]["defaults"]["unit"] == unit, panel["title"]


def test_every_metric_is_shown_somewhere() -> None:
    shown = " ".join(expression for board in GRAFANA.values() for _, expression, _ in queries(board))
    unseen = {metric.name for metric in METRICS if not re.search(rf"\b{metric.name}(_bucket|_sum|_count)?\b", shown)}
    # How many a share is a share of, and what is of interest in a query by hand alone.
    assert unseen <= {
        "osmv_build_info",
        "osmv_exporter_errors_total",
        "osmv_exporter_seconds",
        "osmv_field_sampled_documents",
        "osmv_node_codebooks",
    }
