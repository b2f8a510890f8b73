"""Start, stop, look at and remove local nodes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from opensearch_multivector.errors import InputError, NodeError
from opensearch_multivector.plugin.carried import carried
from opensearch_multivector.plugin.node import process, readiness
from opensearch_multivector.plugin.node.assemble import assembled
from opensearch_multivector.plugin.node.configure import command_line, free_port, prepare
from opensearch_multivector.plugin.node.distribution import DEFAULT_VERSION, load
from opensearch_multivector.plugin.node.java import find_java
from opensearch_multivector.plugin.node.places import locked, node_account, places

PATIENCE = 300.0  # seconds that a node has for answering; 15 do on an idle machine
PORT_ATTEMPTS = 3


@dataclass(frozen=True)
class NodeStatus:
    """A local node whose process lives."""

    name: str
    state: str  # "running", or "starting" while it doesn't answer yet
    url: str
    pid: int
    version: str
    heap: str
    java: str
    data: str
    logs: str
    downloaded: int = 0  # bytes that this start fetched


def start_node(
    name: str = "default",
    heap: str = "1g",
    port: int | None = None,
    *,
    version: str = DEFAULT_VERSION,
    quiet: bool = False,
    patience: float = PATIENCE,
) -> NodeStatus:
    """Bring up the node `name`, or return the one that runs; its data of earlier starts is there again.

    `heap` is the JVM's heap (`1g`, `700m`); `port` the HTTP port on 127.0.0.1 (default: the one it had, or a free one).
    It has the native plugin where this package carries one that fits. Progress goes to stderr unless `quiet`.
    `NodeError` says why it can't be fetched or started, `InputError` which argument is wrong.
    """
    if not re.fullmatch(r"[1-9]\d*[kmgKMG]", heap):
        raise InputError(f"heap {heap!r}: give a size such as 700m or 2g")
    where, account = places(), node_account()
    folder = where.node(name)
    console = Console(stderr=True, quiet=quiet)
    with locked(where.data / "locks" / name):
        if process.find(folder) is None:
            if port and free_port(port) != port:
                raise NodeError(f"port {port} of 127.0.0.1 is taken: choose another, or leave it out")
            distribution = load(version)
            java = find_java(distribution.java_min, distribution.java_max, where, account)
            home, downloaded = assembled(distribution, where, console, plugin_for(version, console))
            for attempt in range(1, PORT_ATTEMPTS + 1):
                previous = recorded(folder).get("port") if attempt == 1 else None
                http_port = port or free_port(previous)
                prepare(folder, name, http_port, free_port(), account, distribution.settings)
                record = {"name": name, "port": http_port, "version": version, "heap": heap}
                record |= {"java": str(java.executable), "downloaded": downloaded}
                write_record(folder, record)
                command = command_line(folder, home, heap, java, distribution)
                jvm = process.spawn(command, folder / "logs/console.log", folder, account)
                try:
                    await_answer(folder, console, patience, jvm)
                    break
                except NodeError as error:
                    # Somebody took the port between our choosing and the node's binding it.
                    if "already in use" not in str(error) or attempt == PORT_ATTEMPTS:
                        raise
        else:  # started before, perhaps by a run that was killed while it waited
            await_answer(folder, console, patience, None)
        status = node_status(name)
    if status is None:
        raise NodeError(f"node {name!r} ended right after it had answered (see {folder / 'logs'})")
    return status


def plugin_for(version: str, console: Console) -> Path | None:
    """The native plugin's zip for a node of that version, or None, which is said."""
    plugin = carried()
    if plugin is None:
        console.print("This package carries no native plugin (make plugin): the node does without.")
    elif plugin.fits(version):
        return plugin.path
    else:
        console.print(f"The native plugin fits OpenSearch {plugin.opensearch}, not {version}: the node does without.")
    return None


def await_answer(folder: Path, console: Console, patience: float, jvm: subprocess.Popen[bytes] | None) -> None:
    """Wait until the node in `folder` answers; a failed or interrupted wait leaves no process behind."""

    def alive() -> bool:
        return jvm.poll() is None if jvm else process.find(folder) is not None

    name = folder.name
    try:
        with console.status(f"node {name}: starting the JVM") as shown:
            readiness.wait(
                url_of(recorded(folder)),
                name,
                folder / "logs",
                alive,
                lambda doing: shown.update(f"node {name}: {doing}"),
                patience,
            )
    except BaseException:
        if (pid := process.find(folder)) is not None:
            process.end(pid, folder)
        raise


def stop_node(name: str = "default") -> bool:
    """Stop the node `name`; whether there was one to stop. Its data stays."""
    folder = places().node(name)
    pid = process.find(folder)
    if pid is None:
        return False
    process.end(pid, folder)
    return True


def node_status(name: str = "default") -> NodeStatus | None:
    """The node `name` as it is now; None if it isn't running."""
    folder = places().node(name)
    pid = process.find(folder)
    record = recorded(folder)
    if pid is None or not record:
        return None
    url = url_of(record)
    return NodeStatus(
        name=name,
        state="running" if readiness.answers(url, name) else "starting",
        url=url,
        pid=pid,
        version=record["version"],
        heap=record["heap"],
        java=record["java"],
        data=str(folder / "data"),
        logs=str(folder / "logs"),
        downloaded=record["downloaded"],
    )


def node_names() -> list[str]:
    """Every node that has a folder, running or not."""
    nodes = places().nodes
    return sorted(path.name for path in nodes.iterdir()) if nodes.is_dir() else []


def running_url(name: str = "default") -> str | None:
    """Where the node `name` answers; None if it doesn't."""
    status = node_status(name)
    return status.url if status and status.state == "running" else None


def clean_node(name: str = "default") -> bool:
    """Stop the node `name` and remove its data, configuration and logs; whether there was anything."""
    where = places()
    folder = where.node(name)
    stop_node(name)
    with locked(where.data / "locks" / name):
        if not folder.exists():
            return False
        shutil.rmtree(folder)
    return True


def clean_cache() -> int:
    """Remove downloads and assembled distributions; returns the bytes freed. `NodeError` while a node uses them."""
    where = places()
    running = [name for name in node_names() if process.find(where.node(name)) is not None]
    if running:
        raise NodeError(f"{', '.join(running)} still running: stop first")
    with locked(where.cache / "lock"):
        sizes = {(s.st_dev, s.st_ino): s.st_size for s in (path.lstat() for path in where.cache.rglob("*"))}
        for folder in where.cache.iterdir():
            if folder.is_dir():
                shutil.rmtree(folder)
    return sum(sizes.values())


def log_file(name: str = "default") -> Path:
    """The node's log, or what the JVM printed where it got no further; `NodeError` where there is neither."""
    folder = places().node(name)
    for candidate in ("opensearch.log", "console.log"):
        path = folder / "logs" / candidate
        if path.is_file():
            return path
    raise NodeError(f"node {name!r} has no log: it was never started (osmv node start --name {name})")


def url_of(record: dict[str, Any]) -> str:
    """The node's base URL."""
    return f"http://127.0.0.1:{record['port']}"


def recorded(folder: Path) -> dict[str, Any]:
    """What the last start wrote down about the node; empty where there was none."""
    try:
        record: dict[str, Any] = json.loads((folder / "node.json").read_text())
        return record
    except (OSError, ValueError):
        return {}


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write down ports and heap before the JVM runs, so that it can be found again however we end."""
    aside = folder / "node.json.new"
    aside.write_text(json.dumps(record, indent=1))
    aside.replace(folder / "node.json")
