"""What the integration tests stand on: one real OpenSearch for the whole run, and an index name for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_under_test import VERSION
from opensearchpy import OpenSearch

from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.plugin.node import clean_node, node_names, start_node

NODE_PREFIX = "osmv-test-"


@pytest.fixture(scope="session")
def node_url() -> Iterator[str]:
    """A real OpenSearch: the one at OSMV_URL, else one in a container if OSMV_TEST_CONTAINERS=1, else a local node."""
    if url := os.environ.get("OSMV_URL"):
        yield url.rstrip("/")
    elif os.environ.get("OSMV_TEST_CONTAINERS") == "1" and docker_answers():
        yield from container_url()
    else:
        yield from local_url()


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


def docker_answers() -> bool:
    """Whether a Docker engine is there to be used."""
    docker = pytest.importorskip("docker", reason="OSMV_TEST_CONTAINERS=1 wants testcontainers")
    try:
        return bool(docker.from_env(timeout=20).ping())
    except docker.errors.DockerException:
        return False


def container_url() -> Iterator[str]:
    """OpenSearch in a container: the image OSMV_TEST_IMAGE, or the official one."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import HttpWaitStrategy

    image = os.environ.get("OSMV_TEST_IMAGE", f"opensearchproject/opensearch:{VERSION}")
    container = (
        DockerContainer(image)
        .with_env("discovery.type", "single-node")
        .with_env("DISABLE_SECURITY_PLUGIN", "true")
        .with_env("DISABLE_INSTALL_DEMO_CONFIG", "true")
        .with_env("OPENSEARCH_JAVA_OPTS", "-Xms1g -Xmx1g")
        .with_exposed_ports(9200)
        .waiting_for(HttpWaitStrategy(9200, "/_cluster/health").for_status_code(200).with_startup_timeout(180))
    )
    with container:
        yield f"http://{container.get_container_host_ip()}:{container.get_exposed_port(9200)}"


@pytest.fixture(scope="session")
def client(node_url: str) -> Iterator[OpenSearch]:
    """A client of the node, with a minute for each request."""
    with connect(node_url, timeout=60) as opened:
        yield opened


@pytest.fixture
def index_name(client: OpenSearch) -> Iterator[str]:
    """A name that no index has; whatever index a test makes of it, or of it and a suffix, is deleted afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    client.indices.delete(index=f"{name}*", ignore_unavailable=True, expand_wildcards="all")
