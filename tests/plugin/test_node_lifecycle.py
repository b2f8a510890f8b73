"""The local node's life on this machine: killed while starting, started again, stopped, side by side, refused."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch
from three_nodes import QUICK_JVM

from opensearch_multivector.errors import NodeError
from opensearch_multivector.plugin.node import clean_node, control, node_status, process, start_node, stop_node
from opensearch_multivector.plugin.node.places import places

pytestmark = pytest.mark.integration

OSMV = [sys.executable, "-m", "opensearch_multivector.cli.main", "node"]


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A node of this test's own, removed whatever happens."""
    monkeypatch.setenv("JDK_JAVA_OPTIONS", QUICK_JVM)
    own = f"osmv-test-{os.getpid()}-life"
    clean_node(own)
    yield own
    clean_node(own)


def osmv(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*OSMV, *arguments], capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_killed_started_again_stopped_and_its_data_kept(node_url: str, name: str) -> None:
    folder = places().node(name)
    with subprocess.Popen([*OSMV, "start", "--name", name, "--heap", "600m"], stderr=subprocess.DEVNULL) as starting:
        deadline = time.monotonic() + 120
        while process.find(folder) is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.kill(starting.pid, signal.SIGKILL)
    orphan = process.find(folder)
    assert orphan is not None

    started = osmv("start", "--name", name, "--json")
    assert started.returncode == 0, started.stderr
    status = json.loads(started.stdout)
    assert status["pid"] == orphan  # taken over, not started beside it
    assert status["heap"] == "600m"
    assert status["url"] != node_url
    assert OpenSearch(node_url).ping()  # side by side

    client = OpenSearch(status["url"], timeout=60)
    client.index(index="kept", id="1", body={"text": "still here"}, refresh=True)
    bound = {info["http"]["publish_address"] for info in client.nodes.info(metric="http")["nodes"].values()}
    assert bound == {status["url"].removeprefix("http://")}
    assert osmv("status", "--name", name).returncode == 0

    stopped = osmv("stop", "--name", name, "--json")
    assert json.loads(stopped.stdout) == {"name": name, "stopped": True}
    assert osmv("status", "--name", name).returncode == 1
    assert not stop_node(name)
    assert OpenSearch(node_url).ping()

    again = start_node(name, heap="600m", quiet=True)
    assert again.url == status["url"]  # the port it had
    assert OpenSearch(again.url, timeout=60).get(index="kept", id="1")["_source"] == {"text": "still here"}


@pytest.mark.slow
def test_a_port_taken_between_choosing_and_binding_is_replaced(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        offered = [taken]
        real = control.free_port
        monkeypatch.setattr(control, "free_port", lambda preferred=None: offered.pop() if offered else real(preferred))
        status = start_node(name, heap="600m", quiet=True)
        assert not offered
        assert status.url != f"http://127.0.0.1:{taken}"
        assert status.state == "running"


def test_a_chosen_port_that_is_taken_is_named(name: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(NodeError, match=f"port {taken} of 127.0.0.1 is taken"):
            start_node(name, port=taken, quiet=True)
    assert node_status(name) is None


def test_a_heap_beyond_the_machine_prints_what_the_jvm_says(name: str) -> None:
    failed = osmv("start", "--name", name, "--heap", "9999g")
    assert failed.returncode == 7
    assert "did not start: " in failed.stderr
    assert "object heap" in failed.stderr or "insufficient memory" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert node_status(name) is None


def test_logs_of_a_node_that_never_was(name: str) -> None:
    absent = osmv("logs", "--name", name)
    assert (absent.returncode, "was never started" in absent.stderr) == (7, True)
