"""A node and a service in containers that know each other by name, and what was measured of all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from contained import Containers, url_of
from container_figures import FIGURES
from opensearchpy import OpenSearch

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

# They take as long as all others together, and what they do to a container is done to local nodes in tests/faults.
FAULTS = ("test_container_faults.py", "test_full_volume.py", "test_nothing_left.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    contained = config.getoption("--node") == "container"
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name in FAULTS and not contained:
            item.add_marker(pytest.mark.skip(reason="takes a minute or more: `make test-containers` runs it"))
        if "containers" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.integration)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def figures(request: pytest.FixtureRequest, containers: Containers) -> None:
    request.config.stash[FIGURES] = containers.figures


@pytest.fixture(scope="session")
def network(containers: Containers) -> Iterator[str]:
    with containers.network("network") as name:
        yield name


@pytest.fixture(scope="session")
def node(containers: Containers, network: str) -> Iterator[DockerContainer]:
    containers.images.opensearch()  # so that a build is not in the figure
    began = time.monotonic()
    with containers.opensearch("node", network=network) as started:
        containers.figures["OpenSearch, from run to an answer, s"] = f"{time.monotonic() - began:.0f}"
        yield started


@pytest.fixture(scope="session")
def contained(node: DockerContainer) -> Iterator[OpenSearch]:
    """A client of the node in the container, wherever that of the other tests is."""
    with OpenSearch(url_of(node), timeout=60) as client:
        yield client
