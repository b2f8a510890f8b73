"""The three nodes of docker/compose.yaml on the loopback interface: its configuration, certificates, roles and users.

They are of 2.19.1, the newest release whose security plugin is served where the node's files come from. What a
container would see under a name of its own, an address or a path, is the same file or port of this machine.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_files import DOCKER, SECURED, mounts, services
from opensearchpy import OpenSearch, OpenSearchException
from rich.console import Console
from three_nodes import QUICK_JVM

from opensearch_multivector.errors import NodeError
from opensearch_multivector.plugin.node import clean_node, process
from opensearch_multivector.plugin.node.assemble import assembled
from opensearch_multivector.plugin.node.configure import command_line, free_port, prepare
from opensearch_multivector.plugin.node.distribution import load
from opensearch_multivector.plugin.node.java import find_java
from opensearch_multivector.plugin.node.places import give, make_folder, node_account, places

VERSION = "2.19.1"
HEAP = "500m"
PATIENCE = 240.0
NODES = ("opensearch1", "opensearch2", "opensearch3")
CONFIG = "/usr/share/opensearch/config/"
# What is of one machine or of containers alone; the node's own configuration says it otherwise here.
ELSEWHERE = {
    "node.name",
    "network.host",
    "discovery.seed_hosts",
    "bootstrap.memory_lock",
}
# The official images have them; here they are empty.
OTHER_FILES = {"action_groups": "actiongroups", "tenants": "tenants", "nodes_dn": "nodesdn", "whitelist": "whitelist"}
OTHER_FILES |= {"allowlist": "allowlist"}


@dataclass
class SecuredCluster:
    """Where the nodes answer; ``private``: what docker/prepare has made."""

    private: Path
    urls: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def here(self, text: str, service: str) -> str:
        """A path, address or name as it stands in the compose file, as it is here."""
        for inside, outside in mounts(services(SECURED)[service]).items():
            text = text.replace(inside, str(self.outside(outside)))
        text = text.replace("/run/osmv", str(self.private))
        for name, url in self.urls.items():
            text = text.replace(f"https://{name}:9200", url)
        return text.replace("0.0.0.0", "127.0.0.1")

    def outside(self, file: Path) -> Path:
        """A file that a service mounts."""
        return self.private / file.name if file.parent == DOCKER / "private" else file

    def environment(self, service: str) -> dict[str, str]:
        """That of a service."""
        return {
            name: self.here(str(value), service) for name, value in services(SECURED)[service]["environment"].items()
        }

    def make_users(self) -> subprocess.CompletedProcess[str]:
        """What the service `users` does."""
        _, *arguments = (self.here(each, "users") for each in services(SECURED)["users"]["entrypoint"])
        return subprocess.run([sys.executable, *arguments], capture_output=True, text=True)

    def client(self, user: str, node: str = NODES[0]) -> OpenSearch:
        """As one of the users."""
        password = (self.private / f"{user}-password").read_text().strip()
        context = ssl.create_default_context(cafile=str(self.private / "ca.pem"))
        return OpenSearch(self.urls[node], http_auth=(user, password), ssl_context=context, timeout=60)

    def healthy(self, node: str) -> bool:
        """What the health check of the compose file asks."""
        (url,) = (each for each in services(SECURED)[node]["healthcheck"]["test"] if each.startswith("https://"))
        asked = [
            "curl",
            "-fsS",
            "--cacert",
            self.private / "ca.pem",
            url.replace("https://localhost:9200", self.urls[node]),
        ]
        return subprocess.run(asked, capture_output=True).returncode == 0


@contextmanager
def secured_cluster(prefix: str, private: Path) -> Iterator[SecuredCluster]:
    """Started and healthy, without users; removed afterwards."""
    where, account, distribution = places(), node_account(), load(VERSION)
    try:
        java = find_java(distribution.java_min, distribution.java_max, where, account)
    except NodeError as error:
        pytest.skip(f"the security plugin is of OpenSearch {VERSION}, and this machine has no Java for it: {error}")
    home, _ = assembled(distribution, where, Console(stderr=True, quiet=True), None)
    http, transport = {name: free_port() for name in NODES}, {name: free_port() for name in NODES}
    cluster = SecuredCluster(private, {name: f"https://127.0.0.1:{port}" for name, port in http.items()})
    folders = {name: where.node(f"{prefix}-{name}") for name in NODES}
    try:
        for name, folder in folders.items():
            clean_node(folder.name)
            seeds = ",".join(f"127.0.0.1:{port}" for port in transport.values())
            settings = distribution.settings | {"discovery.type": "zen", "discovery.seed_hosts": seeds}
            # Closed connections are noticed at once, and a paused test machine isn't taken for a dead node.
            prepare(
                folder, name, http[name], transport[name], account, settings | {"plugins.security.disabled": "false"}
            )
            configure(folder / "config", name, cluster)
            give(folder / "config", account)
            at, *arguments = command_line(folder, home, HEAP, java, distribution)
            cluster.running[name] = process.spawn(
                [at, QUICK_JVM, *arguments], folder / "logs/console.log", folder, account
            )
        await_health(cluster, folders)
        yield cluster
    finally:
        for jvm in cluster.running.values():
            jvm.kill()
            jvm.wait(60)
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)


def configure(config: Path, name: str, cluster: SecuredCluster) -> None:
    """The files that the compose file mounts into a node's configuration."""
    make_folder(config / "certificates")
    security = make_folder(config / "opensearch-security")
    for written, kind in OTHER_FILES.items():
        (security / f"{written}.yml").write_text(f"_meta:\n  type: {kind}\n  config_version: 2\n")
    for inside, outside in mounts(services(SECURED)[name]).items():
        target = config / inside.removeprefix(CONFIG)
        if target.name == "opensearch.yml":
            ours = yaml.safe_load(target.read_text())
            theirs: dict[str, Any] = yaml.safe_load(outside.read_text())
            assert theirs.keys() >= ELSEWHERE
            assert theirs["node.name"] == "${OSMV_NODE}"
            assert services(SECURED)[name]["environment"]["OSMV_NODE"] == name
            both = ours | {key: value for key, value in theirs.items() if key not in ELSEWHERE}
            target.write_text(yaml.safe_dump(both))
        else:
            shutil.copy(cluster.outside(outside), target)
            target.chmod(0o600)


def await_health(cluster: SecuredCluster, folders: dict[str, Path]) -> None:
    """Until each node's health check passes."""
    deadline = time.monotonic() + PATIENCE
    waiting = set(NODES)
    while waiting:
        waiting = {name for name in waiting if not cluster.healthy(name)}
        for name in waiting:
            log = folders[name] / "logs"
            said = [file for file in (log / "opensearch.log", log / "console.log") if file.exists()]
            tail = "".join(file.read_text(errors="replace")[-3000:] for file in said)
            assert cluster.running[name].poll() is None, f"{name} has ended:\n{tail}"
            assert time.monotonic() < deadline, f"{name} does not answer:\n{tail}"
        time.sleep(0.5)


def wait_for_nodes(client: OpenSearch, count: int) -> None:
    """Until so many are together and all shards that can be are assigned."""
    deadline = time.monotonic() + PATIENCE
    said: object = None
    while time.monotonic() < deadline:
        try:
            said = client.cluster.health()
            if said["number_of_nodes"] == count and said["status"] != "red":
                return
        except OpenSearchException as error:
            said = error
        time.sleep(0.3)
    raise AssertionError(f"not {count} nodes after {PATIENCE} s: {said}")
