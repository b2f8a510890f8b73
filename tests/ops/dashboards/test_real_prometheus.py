"""Through a real Prometheus: every query of the dashboards, every rule, and an alert that fires."""

from __future__ import annotations

import pytest
from dashboards import GRAFANA, RULES, filled, queries
from scraped import SEARCHED, Prometheus, Searched

pytestmark = pytest.mark.integration
# What has something to show once an index is searched and the cluster was asked.
SHOWN = {"Searches", "Failed", "99th percentile", "Degraded", "Searches by first stage and rerank", "Latency"}
SHOWN |= {"Time by stage", "Latencies", "Candidates", "Fetched vectors", "Skipped candidates", "Circuit breaker"}
SHOWN |= {"Covered", "Missing", "Fields", "Vectors of a document", "Codebook", "By content", "Asked with success"}


def test_every_query_of_the_dashboards(prometheus: Prometheus, searched: Searched) -> None:
    def told() -> bool:
        searched.search()
        rate = prometheus.query("sum(rate(osmv_searches_total[1m]))")
        return bool(rate and float(rate[0]["value"][1]) > 0 and prometheus.query("osmv_field_codebook_drifted"))

    prometheus.until(told)
    shown = set()
    for dashboard in GRAFANA.values():
        for title, expression, _ in queries(dashboard):
            if prometheus.query(filled(expression)):
                shown.add(title)
    assert shown >= SHOWN
    (failed,) = prometheus.query(filled(dict(_by_title("Failed"))["Failed"]))
    assert float(failed["value"][1]) == 0


def _by_title(title: str) -> list[tuple[str, str]]:
    return [(name, text) for board in GRAFANA.values() for name, text, _ in queries(board) if name == title]


def test_every_rule_is_evaluated(prometheus: Prometheus) -> None:
    def evaluated() -> list[dict[str, str]]:
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        return rules if rules and all(rule["health"] != "unknown" for rule in rules) else []

    rules = prometheus.until(evaluated)
    assert {rule["name"] for rule in rules} == set(RULES)
    assert [rule for rule in rules if rule["health"] != "ok"] == []


def test_a_damaged_blob_fires_its_alert_and_no_other(prometheus: Prometheus) -> None:
    def firing() -> list[dict[str, dict[str, str]]]:
        return [alert for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"]

    (alert,) = prometheus.until(firing)
    assert alert["labels"] == {
        "alertname": "OsmvVectorsDamaged",
        "severity": "critical",
        "index": SEARCHED,
        "field": "mv",
    }
    assert alert["annotations"]["summary"] == f"Stored vectors of {SEARCHED}, field mv are damaged"
    assert alert["annotations"]["runbook"].endswith("#osmvvectorsdamaged")
