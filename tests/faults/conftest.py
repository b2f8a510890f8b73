"""The mark `fault` says to which row of the table of faults a test belongs."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from fault_table import PROPERTY, FaultRow, wanted_rows
from node_under_test import VERSION
from three_nodes import QUICK_JVM

from opensearch_multivector.plugin.node import NodeStatus, clean_node, start_node

HERE = Path(__file__).parent
NOTED = pytest.StashKey[FaultRow]()
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
    return request.node.stash.setdefault(NOTED, FaultRow(mark.args[0] if mark else ""))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if mark := item.get_closest_marker("fault"):
        item.stash.setdefault(NOTED, FaultRow(mark.args[0]))
    report = yield
    if mark:
        report.user_properties = [*report.user_properties, (PROPERTY, item.stash[NOTED].plain())]
    return report


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
