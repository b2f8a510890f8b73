"""The dashboards and rules as the tests look at them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from opensearch_multivector.ops.dashboards.files import dashboard_files

FILES = dashboard_files()
GRAFANA: dict[str, dict[str, Any]] = {
    name: json.loads(content) for name, content in FILES.items() if name.startswith("grafana/")
}
SAVED_OBJECTS: list[dict[str, Any]] = [json.loads(line) for line in FILES["opensearch/osmv.ndjson"].splitlines()]
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(FILES["prometheus/alerts.yml"])["groups"] for rule in group["rules"]
}


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Title, expression and legend of each query of a Grafana dashboard."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"], annotation["titleFormat"]


def filled(expression: str) -> str:
    """An expression as Grafana sends it."""
    return re.sub(r"\$(index|field|canary)\b", ".*", expression.replace("$__rate_interval", "1m"))
