"""The integration tests run on a node in a container, and Ctrl-C in their midst leaves nothing of it behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from contained import PREFIX, Containers

from opensearch_multivector.plugin.node.process import command_lines

ROOT = Path(__file__).parents[2]
# The same tests as on a local node, of the native plugin and of what has to be written and read back.
TESTS = ("test_native_query.py", "test_artifacts.py", "test_tenant.py")
ENOUGH = 12  # passed tests, before the interruption


def test_after_an_interruption(containers: Containers, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "--node", "container", "-v", "-p", "no:cacheprovider", "-n", "2"]
    tests = [f"tests/integration/{name}" for name in TESTS]
    log = tmp_path / "log"
    podman = containers.engine.command == "podman"
    # An API of its own, which has to end with it; Docker's is nobody's.
    environment = os.environ | ({"DOCKER_HOST": ""} if podman else {})
    with log.open("wb") as output:
        run = subprocess.Popen(
            [*command, *tests], cwd=ROOT, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 300
        while log.read_text().count("PASSED") < ENOUGH:
            assert run.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        pids = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        named, marks = tuple(f"{PREFIX}{pid}-" for pid in pids), tuple(f"osmv-podman-{pid}-" for pid in pids)
        names = containers.left()
        assert all(any(name.startswith(named) for name in names[kind]) for kind in ("container", "volume"))
        assert processes(named + marks) or not podman
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does it
        assert run.wait(120) == pytest.ExitCode.INTERRUPTED
    finally:
        run.kill()
    said = log.read_text()
    assert " FAILED " not in said
    assert " ERROR " not in said
    assert [name for names in containers.left().values() for name in names if name.startswith(named)] == []
    assert processes(named + marks) == []
    assert [path for mark in marks for path in Path("/tmp").glob(f"{mark}*")] == []


def processes(marks: tuple[str, ...]) -> list[list[str]]:
    """Those that belong to a run's containers or to its engine's API."""
    return [arguments for _, arguments in command_lines() if any(mark in each for each in arguments for mark in marks)]
