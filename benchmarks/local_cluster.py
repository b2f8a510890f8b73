"""Several OpenSearch nodes on this machine that form one cluster, for as long as a benchmark takes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

from opensearchpy import OpenSearch, exceptions
from rich.console import Console

from opensearch_multivector.errors import NodeError
from opensearch_multivector.plugin.carried import carried
from opensearch_multivector.plugin.node import process
from opensearch_multivector.plugin.node.assemble import assembled
from opensearch_multivector.plugin.node.configure import command_line, free_port, prepare
from opensearch_multivector.plugin.node.distribution import load
from opensearch_multivector.plugin.node.java import find_java
from opensearch_multivector.plugin.node.places import node_account, places

_PATIENCE = 240  # seconds


@contextmanager
def cluster(nodes: int, heap: str) -> Iterator[OpenSearch]:
    """A client of the first of ``nodes`` nodes; all of them are removed afterwards."""
    where, account, console = places(), node_account(), Console(stderr=True)
    distribution, zipped = load(), carried()
    java = find_java(distribution.java_min, distribution.java_max, where, account)
    home, _ = assembled(distribution, where, console, zipped.path if zipped else None)
    names = [f"bench-{i}" for i in range(nodes)]
    http = [free_port() for _ in names]
    transport = [free_port() for _ in names]
    together = {
        "discovery.type": "zen",
        "cluster.name": "osmv-bench",
        "discovery.seed_hosts": ",".join(f"127.0.0.1:{port}" for port in transport),
        "cluster.initial_cluster_manager_nodes": ",".join(names),
    }
    running = []
    try:
        for name, http_port, transport_port in zip(names, http, transport, strict=True):
            folder = where.node(name)
            shutil.rmtree(folder, ignore_errors=True)
            prepare(folder, name, http_port, transport_port, account, distribution.settings | together)
            command = command_line(folder, home, heap, java, distribution)
            running.append((folder, process.spawn(command, folder / "logs/console.log", folder, account)))
        client = OpenSearch(f"http://127.0.0.1:{http[0]}", timeout=300)
        await_nodes(client, nodes)
        yield client
    finally:
        for folder, jvm in running:
            jvm.terminate()
            jvm.wait(60)
            shutil.rmtree(folder, ignore_errors=True)


def await_nodes(client: OpenSearch, nodes: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            if client.cluster.health()["number_of_nodes"] == nodes:
                return
        except exceptions.TransportError:
            pass
        time.sleep(1)
    raise NodeError(f"{nodes} nodes did not come together within {_PATIENCE} seconds")
