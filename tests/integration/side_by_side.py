"""How the integration tests went on a local node and on one in a container, told side by side after either run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
KINDS = ("local", "container")
OUTCOMES = ("passed", "failed", "error", "skipped")

Outcomes = dict[str, list[str]]  # outcome: the tests


def outcomes_of(stats: Mapping[str, Sequence[Any]], root: Path) -> Outcomes:
    """Of the tests in this folder, out of pytest's reports."""
    folder = f"{HERE.relative_to(root)}/"
    return {
        outcome: sorted({each.nodeid for each in stats.get(outcome, ()) if each.nodeid.startswith(folder)})
        for outcome in OUTCOMES
    }


def is_whole(outcomes: Outcomes) -> bool:
    """Whether each file of tests took part: a run of some of them is not worth remembering."""
    ran = {test.split("::")[0].rsplit("/")[-1] for tests in outcomes.values() for test in tests}
    return {path.name for path in HERE.glob("test_*.py")} <= ran


def table(runs: Mapping[str, Outcomes]) -> list[str]:
    """A line for each kind of node, and one that says whether the tests were the same."""
    lines = []
    for where, outcomes in runs.items():
        counts = ", ".join(f"{len(outcomes[each])} {each}" for each in OUTCOMES)
        lines.append(f"{where:10} {sum(map(len, outcomes.values()))} tests: {counts}")
    names = [{test for tests in outcomes.values() for test in tests} for outcomes in runs.values()]
    if len(names) > 1:
        apart = sorted(set.union(*names) - set.intersection(*names))
        told = f"{', '.join(apart[:5])}{', ...' if len(apart) > 5 else ''}"
        lines.append(f"not the same tests, {len(apart)} in one alone: {told}" if apart else "the same tests")
    return lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    where, cache = config.getoption("--node"), getattr(config, "cache", None)
    outcomes = outcomes_of(terminalreporter.stats, config.rootpath)
    if where not in KINDS or cache is None or not is_whole(outcomes):
        return
    cache.set(f"osmv/integration-{where}", outcomes)
    runs: dict[str, Outcomes] = {kind: ran for kind in KINDS if (ran := cache.get(f"osmv/integration-{kind}", None))}
    terminalreporter.section("integration tests, last run on each kind of node")
    for line in table(runs):
        terminalreporter.write_line(line)
