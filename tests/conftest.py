"""What the integration tests stand on: a real OpenSearch for the whole run, and an index name for each test.

With `-n 2` two processes share the tests (pytest-xdist), each with an OpenSearch of its own.
"""

from __future__ import annotations

import hashlib
import os
import random
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from contained import Containers, containers_here, url_of
from engine import EngineError
from node_under_test import VERSION
from opensearchpy import OpenSearch

from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.plugin.node import clean_node, node_names, start_node

NODE_PREFIX = "osmv-test-"
OF_THIS_RUN = ("local", "container")  # values of --node
# What is told at the end of a run, by the process that has the tests done by others, too.
pytest_plugins = ["fault_summary", "container_figures", "side_by_side"]
# Their tests share what takes long to start, so that one process has to do them all.
TOGETHER = ("containers", "ops/compose", "ops/console", "pyserini", "security")
# The same in every process: tests are named by what they are made of.
SEED = os.environ.setdefault("OSMV_TEST_SEED", str(random.SystemRandom().randrange(1, 2**31)))


def pytest_addoption(parser: pytest.Parser) -> None:
    where = "the OpenSearch of the tests: local, container, or the URL of a cluster (default: OSMV_URL, else local)"
    parser.addoption("--node", default=os.environ.get("OSMV_URL") or "local", help=where)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests, or those of a folder, stay together; on a cluster that exists only once all of them do."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
        def _split_scope(self, nodeid: str) -> str:
            if config.getoption("--node") not in OF_THIS_RUN:
                return "all"
            file = nodeid.partition("::")[0]
            folder = str(Path(file).parent).removeprefix("tests/")
            return folder if folder in TOGETHER else file

    # In the order of the folders: by the number of their tests, those that take longest would come last.
    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.fixture(scope="session")
def containers(request: pytest.FixtureRequest) -> Iterator[Containers]:
    """Docker or Podman, found by itself; tests of containers are skipped where there is neither."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(containers_here())
        except EngineError as error:
            if request.config.getoption("--node") == "container":
                raise
            pytest.skip(str(error))
        yield found


@pytest.fixture(scope="session")
def node_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A real OpenSearch, where --node says: a local node, one in a container, or somebody's cluster."""
    where = request.config.getoption("--node")
    if where == "local":
        yield from local_url()
    elif where == "container":
        with request.getfixturevalue("containers").opensearch(
            "suite", settings={"OPENSEARCH_JAVA_OPTS": "-Xms1g -Xmx1g"}
        ) as container:
            yield url_of(container)
    else:
        yield where.rstrip("/")


def local_url() -> Iterator[str]:
    """A node of this run's own, removed at the end; nodes that killed runs have left are removed first."""
    for name in node_names():
        # osmv-test-PID, or osmv-test-PID-what-for of a run that may still be at work beside this one.
        if name.startswith(NODE_PREFIX) and not Path("/proc", name.removeprefix(NODE_PREFIX).split("-")[0]).exists():
            clean_node(name)
    name = f"{NODE_PREFIX}{os.getpid()}"
    try:
        yield start_node(name, heap="1g", version=VERSION).url
    finally:
        clean_node(name)


@pytest.fixture(scope="session")
def client(node_url: str) -> Iterator[OpenSearch]:
    """A client of the node, with a minute for each request."""
    with connect(node_url, timeout=60) as opened:
        yield opened


@pytest.fixture
def index_name(client: OpenSearch, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name that no index has; whatever index a test makes of it, or of it and a suffix, is deleted afterwards.

    Which documents OpenSearch draws for a sample goes by the index's name: on a node of this run's own that is decided
    by the seed, so that a run with the same seed has the same samples.
    """
    given = f"{SEED} {request.node.nodeid}"
    if request.config.getoption("--node") not in OF_THIS_RUN:
        given = uuid.uuid4().hex  # a cluster may still have what a killed run has left
    name = f"test-{hashlib.blake2b(given.encode(), digest_size=6).hexdigest()}"
    yield name
    client.indices.delete(index=f"{name}*", ignore_unavailable=True, expand_wildcards="all")
