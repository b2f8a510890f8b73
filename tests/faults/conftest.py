"""The mark `fault` says to which row of the table of faults a test belongs; the table is told at the end."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_table import PROPERTY, FaultRow, for_terminal, lines_of, wanted_rows, written_into
from node_under_test import VERSION
from scale import LONG, SEED
from three_nodes import QUICK_JVM

from opensearch_multivector import __version__
from opensearch_multivector.plugin.node import NodeStatus, clean_node, start_node

HERE = Path(__file__).parent
WANTED = wanted_rows(os.environ.get("OSMV_FAULTS_ROW", ""))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(row): belongs to that row of the table of faults")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not WANTED:
        return
    marks = {item: item.get_closest_marker("fault") for item in items if HERE in item.path.parents}
    left_out = [item for item, mark in marks.items() if mark is None or mark.args[0] not in WANTED]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def fault_row(request: pytest.FixtureRequest) -> FaultRow:
    """What the test adds to its row of the table."""
    mark = request.node.get_closest_marker("fault")
    noted = FaultRow(mark.args[0] if mark else "")
    if mark:
        request.node.user_properties.append((PROPERTY, noted))
    return noted


@pytest.fixture(scope="session")
def start_killable() -> Iterator[Callable[[], NodeStatus]]:
    """Starts a node of these tests' own, where it does not run: each may kill it."""
    name = f"osmv-test-{os.getpid()}-killed"

    def start() -> NodeStatus:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("JDK_JAVA_OPTIONS", QUICK_JVM)
            return start_node(name, heap="600m", version=VERSION, quiet=True)

    try:
        yield start
    finally:
        clean_node(name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    reports = [each for kind in terminalreporter.stats.values() for each in kind if hasattr(each, "user_properties")]
    lines = lines_of(reports)
    if not lines:
        return
    form = "long" if LONG else "short"
    terminalreporter.section(f"faults, {form} form, seed {SEED}")
    for line in for_terminal(lines):
        terminalreporter.write_line(line)
    # One that was interrupted has not tried all that its rows speak of.
    if (path := os.environ.get("OSMV_FAULTS_TABLE")) and exitstatus != pytest.ExitCode.INTERRUPTED:
        page = Path(path)
        node = terminalreporter.config.getoption("--node")
        engine = f"OpenSearch {VERSION}" if node in ("local", "container") else "the cluster of --node"
        heading = (
            f"Last written by `make faults`, {form} form, seed {SEED}: opensearch-multivector {__version__}, {engine}, "
            f"Python {platform.python_version()}, {os.cpu_count()} cores."
        )
        page.write_text(written_into(page.read_text(), lines, f"{time.strftime('%Y-%m-%d')}, {form}", heading))
