"""`osmv node`: the local OpenSearch."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from opensearch_multivector.plugin.node import NodeStatus

node = typer.Typer(
    help="A real OpenSearch with k-NN on this machine, without Docker (loopback only).", no_args_is_help=True
)

Name = Annotated[str, typer.Option("--name", "-n", help="Which node; several run side by side.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.add_typer(node, name="node")


@node.command(epilog="Example: osmv node start --heap 2g")
def start(
    name: Name = "default",
    heap: Annotated[str, typer.Option(help="The JVM's heap, such as 700m or 2g.")] = "1g",
    port: Annotated[int | None, typer.Option(help="HTTP port on 127.0.0.1; default: a free one.")] = None,
    version: Annotated[str, typer.Option(help="Which OpenSearch.")] = "3.6.0",
    as_json: Json = False,
) -> None:
    """Bring the node up, fetching OpenSearch the first time (about 120 MB); prints its URL.

    It has the native plugin, where this package carries it (osmv plugin). Its data is kept between starts.
    As root it runs under OSMV_NODE_USER (default: nobody).
    Exit code 7 when it can't be fetched or started, with the reason.
    """
    from opensearch_multivector.plugin.node import start_node

    show(start_node(name, heap, port, version=version), as_json)


@node.command(epilog="Example: osmv node stop --name second")
def stop(name: Name = "default", as_json: Json = False) -> None:
    """Stop the node; its data stays. Exit code 0 also when it wasn't running."""
    from opensearch_multivector.plugin.node import stop_node

    stopped = stop_node(name)
    tell({"name": name, "stopped": stopped}, f"node {name}: {'stopped' if stopped else 'was not running'}", as_json)


@node.command(epilog="Example: osmv node status --json")
def status(
    name: Name = "default",
    every: Annotated[bool, typer.Option("--all", help="All nodes instead of one.")] = False,
    as_json: Json = False,
) -> None:
    """Say where the node answers. Exit code 0 when it runs, 1 when it doesn't (--all: when none does)."""
    from opensearch_multivector.plugin.node import node_names, node_status

    names = node_names() if every else [name]
    found = {each: node_status(each) for each in names}
    if as_json:
        rows = [asdict(entry) if entry else {"name": each, "state": "stopped"} for each, entry in found.items()]
        print(json.dumps(rows if every else rows[0]))
    else:
        for each, entry in found.items():
            print(f"{each}: {describe(entry)}" if entry else f"{each}: not running")
    if not any(entry and entry.state == "running" for entry in found.values()):
        raise typer.Exit(1)


@node.command(epilog="Example: osmv node logs --follow")
def logs(
    name: Name = "default",
    lines: Annotated[int, typer.Option(min=1, help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Print the node's log: the last lines, or with --follow what comes, too. --json: one string per line."""
    from opensearch_multivector.plugin.node import log_file

    path = log_file(name)
    with path.open(errors="replace") as handle:
        for line in deque(handle, maxlen=lines):
            emit(line, as_json)
        while follow:
            line = handle.readline()
            if line:
                emit(line, as_json)
                continue
            if rolled(path, handle.tell()):
                handle.close()
                return logs(name, lines, follow, as_json)
            try:
                time.sleep(0.3)
            except KeyboardInterrupt:
                return None
    return None


@node.command(epilog="Example: osmv node clean --name second --yes")
def clean(
    name: Name = "default",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    cache: Annotated[bool, typer.Option("--cache", help="Remove the downloaded OpenSearch, too.")] = False,
    as_json: Json = False,
) -> None:
    """Stop the node and remove its data and logs; with --cache also what was downloaded for all nodes."""
    from opensearch_multivector.plugin.node import clean_cache, clean_node

    if not yes:
        typer.confirm(f"Remove node {name} with all its indices?", abort=True, err=True)
    removed = clean_node(name)
    freed = clean_cache() if cache else 0
    words = f"node {name}: {'removed' if removed else 'there was nothing to remove'}"
    tell(
        {"name": name, "removed": removed, "cache_bytes_freed": freed},
        words + (f"; cache: {freed / 1e6:.0f} MB freed" if cache else ""),
        as_json,
    )


def show(status: NodeStatus, as_json: bool) -> None:
    """Print a running node: the URL alone on stdout, so that `$(osmv node start)` is one."""
    if as_json:
        print(json.dumps(asdict(status)))
        return
    print(f"node {status.name}: {describe(status)}", file=sys.stderr)
    print(status.url)


def describe(status: NodeStatus) -> str:
    """A node in one line."""
    return f"{status.state} at {status.url} (OpenSearch {status.version}, process {status.pid}, heap {status.heap})"


def tell(facts: dict[str, object], words: str, as_json: bool) -> None:
    """Print the outcome, for programs or for people."""
    print(json.dumps(facts) if as_json else words)


def emit(line: str, as_json: bool) -> None:
    """Print one line of a log."""
    text = line.rstrip("\n")
    print(json.dumps(text) if as_json else text, flush=True)


def rolled(path: Path, position: int) -> bool:
    """Whether the log began anew since we opened it."""
    return path.exists() and path.stat().st_size < position
