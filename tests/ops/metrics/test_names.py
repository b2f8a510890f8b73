"""The table of metrics: Prometheus' rules, and docs/metrics.md, which shows it.

`python tests/ops/metrics/test_names.py` writes the tables of docs/metrics.md anew.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from opensearch_multivector.ops.metrics.cluster import ClusterMetrics, Part, Readings
from opensearch_multivector.ops.metrics.names import METRICS, Metric, make

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"


def tables() -> dict[str, str]:
    """By group, as docs/metrics.md has them."""
    head = "| metric | kind | labels | |\n|---|---|---|---|\n"
    return {
        group: head + "\n".join(map(row, metrics)) + "\n"
        for group, metrics in groupby(METRICS, key=lambda metric: metric.group)
    }


def with_tables(page: str) -> str:
    for group, table in tables().items():
        page, count = re.subn(
            rf"(<!-- {group} -->\n).*?(\n<!-- end -->)",
            lambda match, table=table: match[1] + table + match[2],
            page,
            flags=re.DOTALL,
        )
        assert count == 1, f"docs/metrics.md has no place for the metrics of group {group!r}"
    return page


def everything() -> bytes:
    """A registry with a sample of each metric."""
    registry = CollectorRegistry()
    for metric in METRICS:
        made = make(metric.name, registry)
        made = made.labels(*("any" for _ in metric.labels)) if metric.labels else made
        {"counter": lambda m: m.inc(), "gauge": lambda m: m.set(1), "histogram": lambda m: m.observe(1)}[metric.kind](
            made
        )
    return generate_latest(registry)


def at_scrape_time() -> bytes:
    """The same of what is read when it is asked for."""

    def read(into: Readings) -> None:
        for metric in METRICS:
            if metric.group in ("field", "node", "canary"):
                into.add(metric.name, 1, **dict.fromkeys(metric.labels, 'any "\\\n é'))

    registry = CollectorRegistry()
    registry.register(ClusterMetrics([Part("fields", 60, read)]))
    shown: bytes = generate_latest(registry)
    assert all(f"# HELP {metric.name} ".encode() in shown for metric in METRICS if metric.group == "canary")
    return shown


def test_the_documentation_lists_exactly_these() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), "run: python tests/ops/metrics/test_names.py"
    role = {"osmv_exporter"}
    assert set(re.findall(r"\bosmv_[a-z_]+", page)) <= {metric.name for metric in METRICS} | role


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_labels_and_units_go_by_the_rules(metric: Metric) -> None:
    assert re.fullmatch(r"osmv(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert not re.search(r"_(ms|millis\w*|micros\w*|nanos\w*|kb|mb|percent|count|sum|bucket)(_|$)", metric.name)
    assert all(re.fullmatch(r"[a-z_]+", label) and label not in ("le", "job", "instance") for label in metric.labels)
    assert not {"query", "filter", "id", "document", "message", "user", "tenant"} & {*metric.labels}
    assert metric.help.endswith(".")
    assert len({*metric.labels}) == len(metric.labels)


def test_each_is_there_once() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    shown = everything().decode()
    for metric in METRICS:
        assert f"# HELP {metric.name} " in shown


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize("shown", [everything, at_scrape_time])
def test_promtool_finds_nothing_to_mend(shown: Callable[[], bytes]) -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=shown(), capture_output=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
