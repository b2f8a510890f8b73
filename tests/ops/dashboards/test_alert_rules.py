"""The alert rules: by promtool, and that each has its test and its section in the runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from dashboards import FILES, RULES
from promql import labels_of, mistakes

from opensearch_multivector.ops.dashboards.files import export_dashboards

RUNBOOK = Path(__file__).parents[3] / "docs/operators/runbook.md"
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool here: it is in Debian's package prometheus"
)
each_rule = pytest.mark.parametrize("name", RULES)


@needs_promtool
@pytest.mark.parametrize(
    "command",
    [("check", "rules", "alerts.yml"), ("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")],
)
def test_promtool(command: tuple[str, ...], tmp_path: Path) -> None:
    export_dashboards(tmp_path)
    done = subprocess.run(["promtool", *command], cwd=tmp_path / "prometheus", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_is_made_to_fire() -> None:
    tests = yaml.safe_load(FILES["prometheus/alerts_test.yml"])["tests"]
    fired = {
        match[1]
        for test in tests
        for expected in test["promql_expr_test"]
        for sample in expected.get("exp_samples", ())
        if (match := re.search(r'alertname="(\w+)", alertstate="firing"', sample["labels"]))
    }
    assert fired == set(RULES)


@each_rule
def test_every_metric_and_label_is_there(name: str) -> None:
    rule = RULES[name]
    assert not list(mistakes(rule["expr"]))
    shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert shown <= labels_of(rule["expr"])
    # What an aggregation leaves away can't be shown.
    kept = re.match(r"(?:histogram_quantile\(0\.\d+, )?(?:sum|max) by \(([\w, ]+)\)", rule["expr"])
    if kept:
        assert shown <= set(kept[1].split(", ")), kept[1]


@each_rule
def test_what_it_says(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert name.startswith("Osmv")


def test_the_runbook_has_a_section_for_each_and_no_other() -> None:
    sections = dict(re.findall(r"^### (Osmv\w+)\n(.*?)(?=^##|\Z)", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL))
    assert list(sections) == list(RULES)
    for name, text in sections.items():
        assert RULES[name]["annotations"]["runbook"] == f"docs/operators/runbook.md#{name.lower()}"
        assert len(text.split()) > 25, f"{name} says too little"
