"""The node's operating-system process: spawned, found again, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from opensearch_multivector.errors import NodeError
from opensearch_multivector.plugin.node.configure import MARK
from opensearch_multivector.plugin.node.places import Account

GRACE = 30.0  # seconds between SIGTERM and SIGKILL


def spawn(command: list[str], console_log: Path, folder: Path, account: Account | None) -> subprocess.Popen[bytes]:
    """Start the JVM in a session of its own, so that it outlives us and our terminal's Ctrl-C doesn't reach it."""
    environment = {key: value for key, value in os.environ.items() if key not in ("JAVA_TOOL_OPTIONS", "CLASSPATH")}
    with console_log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder / "tmp",
            env=environment,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )


def command_lines() -> Iterator[tuple[int, list[str]]]:
    """Every process of this machine that we may see: its id and its arguments."""
    proc = Path("/proc")
    if (proc / "self/cmdline").exists():
        for folder in proc.iterdir():
            if folder.name.isdigit():
                try:
                    arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                except OSError:  # it has just ended
                    continue
                yield int(folder.name), arguments
        return
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        pid, _, arguments_text = line.strip().partition(" ")
        yield int(pid), arguments_text.split(" ")


def find(folder: Path) -> int | None:
    """The process of the node in `folder`, by its command line: a recorded id may be another program's by now."""
    mark = MARK + str(folder)
    for pid, arguments in command_lines():
        if mark in arguments and "org.opensearch.bootstrap.OpenSearch" in arguments:
            return pid
    return None


def end(pid: int, folder: Path, grace: float = GRACE) -> None:
    """SIGTERM, and SIGKILL after `grace` seconds; `NodeError` if the process is not ours to end."""
    try:
        os.kill(pid, signal.SIGTERM)
        if gone(folder, grace):
            return
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise NodeError(f"process {pid} belongs to another user: stop the node as the one who started it") from error
    if not gone(folder, 10.0):
        raise NodeError(f"process {pid} outlived SIGKILL")


def gone(folder: Path, seconds: float) -> bool:
    """Whether the node's process ends within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if find(folder) is None:
            return True
        time.sleep(0.1)
    return False
