"""Fixtures of several tests of attached indices, and how the tests went on each kind of node."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from attached_index import AttachedIndex, make_attached, remove_attached
from opensearchpy import OpenSearch
from side_by_side import Outcomes, is_whole, outcomes_of, table

KINDS = ("local", "container")


@pytest.fixture(scope="module")
def attached(client: OpenSearch) -> Iterator[AttachedIndex]:
    """Never written to by a test."""
    name = "osmv-test-attached"
    remove_attached(client, name)
    yield make_attached(client, name, shards=1)
    remove_attached(client, name)


@pytest.fixture
def make(client: OpenSearch, index_name: str) -> Iterator[Callable[..., AttachedIndex]]:
    """Makes one that the test may change."""
    yield lambda **options: make_attached(client, index_name, **options)
    remove_attached(client, index_name)


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
