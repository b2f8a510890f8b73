"""Through a real Prometheus: every query of the dashboards, every rule, and an alert that fires."""

from __future__ import annotations

from typing import Any

import pytest
from dashboards import GRAFANA, RULES, filled, queries
from node_under_test import NATIVE
from scraped import SEARCHED, Prometheus, Searched

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:documents whose token vectors")]
# Nothing is attached, no search fails, and no events are written here.
OF_OTHER_DAYS = {"At work", "Paused", "Refused", "Stale", "Writes that wait", "Search events"}
OF_OTHER_DAYS |= {"Failures by reason", "Degraded by stage", "Empty and stale", "Hedged"}
OF_THE_PLUGIN = {"Scored documents", "Time of a document", "Read vectors", "Searches of a shard", "Memory", "Nodes"}
OF_THE_PLUGIN |= {"Codebooks in memory", "Damaged, refused, loaded"}


def test_every_query_of_the_dashboards(prometheus: Prometheus, searched: Searched) -> None:
    asked = [(title, filled(query)) for board in GRAFANA.values() for title, query, _ in queries(board)]
    still_empty = {title for title, _ in asked}

    def told() -> bool:
        searched.search()
        for title, query in asked:
            if prometheus.query(query):
                still_empty.discard(title)
        return still_empty <= OF_OTHER_DAYS | (set() if NATIVE else OF_THE_PLUGIN)

    prometheus.until(told, still_empty)
    ((_, failed),) = [each for each in asked if each[0] == "Failed"]
    assert float(prometheus.query(failed)[0]["value"][1]) == 0


def test_every_rule_is_evaluated(prometheus: Prometheus) -> None:
    def evaluated() -> list[dict[str, str]]:
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        return rules if rules and all(rule["health"] != "unknown" for rule in rules) else []

    rules = prometheus.until(evaluated)
    assert {rule["name"] for rule in rules} == set(RULES)
    assert [rule for rule in rules if rule["health"] != "ok"] == []


def test_a_damaged_blob_fires_its_alert(prometheus: Prometheus) -> None:
    def firing() -> list[dict[str, Any]]:
        alerts = prometheus.get("alerts")["alerts"]
        return [each for each in alerts if each["labels"]["alertname"] == "OsmvVectorsDamaged"]

    (alert,) = prometheus.until(firing)
    assert alert["state"] == "firing"
    assert alert["labels"] == {
        "alertname": "OsmvVectorsDamaged",
        "severity": "critical",
        "index": SEARCHED,
        "field": "mv",
    }
    assert alert["annotations"]["summary"] == f"Stored vectors of {SEARCHED}, field mv are damaged"
    assert alert["annotations"]["runbook"].endswith("#osmvvectorsdamaged")
