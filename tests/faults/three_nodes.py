"""Three nodes on the loopback interface that form one cluster, each of which can be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from node_under_test import NATIVE, VERSION
from opensearchpy import OpenSearch, TransportError
from rich.console import Console

from opensearch_multivector.plugin.carried import carried
from opensearch_multivector.plugin.node import process
from opensearch_multivector.plugin.node.assemble import assembled
from opensearch_multivector.plugin.node.configure import command_line, free_port, prepare
from opensearch_multivector.plugin.node.distribution import load
from opensearch_multivector.plugin.node.java import find_java
from opensearch_multivector.plugin.node.places import node_account, places

PATIENCE = 240.0  # seconds for three JVMs on a busy machine
HEAP = "600m"
# They are started oftener than they are searched: without the second compiler a start takes half the CPU time.
QUICK_JVM = "-XX:TieredStopAtLevel=1"
# A killed node is missed at once by its closed connections; what it had is allocated anew when it is back.
SETTINGS = {
    "discovery.type": "zen",
    "cluster.routing.allocation.disk.threshold_enabled": "false",
    "cluster.fault_detection.leader_check.interval": "200ms",
    "cluster.fault_detection.follower_check.interval": "200ms",
}


@dataclass
class ThreeNodes:
    """The nodes by number; ``urls`` stay the same over kills."""

    names: list[str]
    urls: list[str]
    commands: list[list[str]]
    folders: list[Path]
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, number: int) -> None:
        """Start a node that is not running, and don't wait for it."""
        folder = self.folders[number]
        self.running[number] = process.spawn(self.commands[number], folder / "logs/console.log", folder, node_account())

    def kill(self, number: int) -> None:
        """SIGKILL; returns when the process is gone."""
        jvm = self.running.pop(number)
        os.kill(jvm.pid, signal.SIGKILL)
        jvm.wait(30)

    def manager(self) -> int:
        """Which node is the cluster manager now."""
        number = next(iter(self.running))
        with OpenSearch(self.urls[number], timeout=30) as client:
            (row,) = client.cat.cluster_manager(params={"format": "json"})
        return self.names.index(row["node"])

    def wait(self, nodes: int, status: str) -> None:
        """Until so many are together and shards are assigned as ``status`` says."""
        deadline = time.monotonic() + PATIENCE
        enough = ("green",) if status == "green" else ("green", "yellow")
        while time.monotonic() < deadline:
            for number in self.running:
                with suppress(TransportError), OpenSearch(self.urls[number], timeout=20, max_retries=0) as client:
                    health = client.cluster.health()
                    if health["number_of_nodes"] == nodes and health["status"] in enough:
                        return
            time.sleep(0.2)
        raise AssertionError(f"{nodes} nodes are not {status} after {PATIENCE} s, see {self.folders[0].parent}")

    def lose_and_regain(self, number: int) -> float:
        """Kill a node, let the others go on without it for a while, start it again; seconds until all is as before."""
        started = time.monotonic()
        self.kill(number)
        self.wait(len(self.names) - 1, "yellow")
        self.start(number)
        self.wait(len(self.names), "green")
        return time.monotonic() - started


@contextmanager
def three_nodes(prefix: str) -> Iterator[ThreeNodes]:
    """Started and together; removed afterwards."""
    where, account = places(), node_account()
    distribution, zipped = load(VERSION), carried() if NATIVE else None
    java = find_java(distribution.java_min, distribution.java_max, where, account)
    home, _ = assembled(distribution, where, Console(stderr=True, quiet=True), zipped.path if zipped else None)
    names = [f"{prefix}-{number}" for number in range(3)]
    http, transport = [free_port() for _ in names], [free_port() for _ in names]
    together = {
        "cluster.name": prefix,
        "discovery.seed_hosts": ",".join(f"127.0.0.1:{port}" for port in transport),
        "cluster.initial_cluster_manager_nodes": ",".join(names),
    }
    nodes = ThreeNodes(names, [f"http://127.0.0.1:{port}" for port in http], [], [where.node(name) for name in names])
    try:
        for number, folder in enumerate(nodes.folders):
            shutil.rmtree(folder, ignore_errors=True)
            settings = {**distribution.settings, **SETTINGS, **together}
            prepare(folder, names[number], http[number], transport[number], account, settings)
            java_at, *arguments = command_line(folder, home, HEAP, java, distribution)
            nodes.commands.append([java_at, QUICK_JVM, *arguments])
            nodes.start(number)
        nodes.wait(3, "green")
        yield nodes
    finally:
        for jvm in nodes.running.values():
            jvm.kill()
            jvm.wait(60)
        for folder in nodes.folders:
            shutil.rmtree(folder, ignore_errors=True)
