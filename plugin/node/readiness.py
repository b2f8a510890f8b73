"""Waiting for a node to answer: what it is doing meanwhile, and why it failed if it does."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from math import isnan
from pathlib import Path
from typing import Any

from opensearch_multivector.errors import NodeError

# The node is asked directly, past any proxy of the environment: it is on the loopback interface.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url: str, timeout: float = 2.0) -> dict[str, Any] | None:
    """The JSON that `url` answers; None while nobody does."""
    try:
        with DIRECT.open(url, timeout=timeout) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except (OSError, ValueError):
        return None


def answers(url: str, name: str) -> bool:
    """Whether the node called `name` serves requests at `url`, its shards included."""
    root = ask(url)
    if root is None or root.get("name") != name:
        return False
    health = ask(f"{url}/_cluster/health")
    return health is not None and health["status"] in ("green", "yellow")


def wait(
    url: str, name: str, logs: Path, alive: Callable[[], bool], say: Callable[[str], None], patience: float
) -> None:
    """Return when the node answers; `say` is told what it is doing.

    `NodeError` gives the log's reason as soon as the process ends, or where the node stands after `patience` seconds.
    """
    started = time.monotonic()
    while True:
        if answers(url, name):
            return
        if not alive():
            raise NodeError(f"node {name!r} did not start: {failure_reason(read(logs))} (see {logs})")
        doing = activity(read(logs / "opensearch.log"))
        health = ask(f"{url}/_cluster/health", timeout=0.5)
        if health is not None:
            percent = float(health["active_shards_percent_as_number"])  # "NaN" while the node knows of no shard
            doing = "opening shards" if isnan(percent) else f"opening shards, {percent:.0f} %"
        say(f"{doing} ({time.monotonic() - started:.0f} s)")
        if time.monotonic() - started > patience:
            raise NodeError(f"node {name!r} does not answer after {patience:.0f} s; last it was {doing} (see {logs})")
        time.sleep(0.4)


def read(path: Path) -> str:
    """The last 200 kB of a log file, or of all that a folder of logs has; empty where there is none yet."""
    if path.is_dir():
        return "\n".join(read(file) for file in (path / "console.log", path / "opensearch.log"))
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - 200_000))
            return handle.read().decode(errors="replace")
    except OSError:
        return ""


ACTIVITIES = (
    (r"JVM arguments", "starting the JVM"),
    (r"loaded (?:module|plugin) \[([^\]]+)\]", "loading {0}"),
    (r"initialized$", "initialised"),
    (r"starting \.\.\.", "starting services"),
    (r"publish_address", "binding ports"),
    (r"elected-as-cluster-manager", "electing itself"),
    (r"recovered \[(\d+)\] indices", "recovering {0} indices"),
    (r"started$|\] started", "started"),
)


def activity(log: str) -> str:
    """What the node's log says that it is doing now, in a few words."""
    for line in reversed(log.splitlines()):
        for pattern, words in ACTIVITIES:
            if found := re.search(pattern, line):
                return words.format(*found.groups())
    return "starting the JVM"


def failure_reason(log: str) -> str:
    """The line of the logs that says why a start failed: the root cause where OpenSearch names it."""
    for pattern in (
        r"^Likely root cause: (.+)$",
        r"^# ((?:There is insufficient memory|A fatal error).*(?:\n#(?! (?:An error report|Core dump)).*)*)",
        r"^(?:Error|Could not|Invalid|Unrecognized) .+(?:\n(?!\s|\[).+)*",
        r"^Caused by: (.+)$(?![\s\S]*^Caused by: )",
        r"^(?:uncaught exception in thread .*\n)?((?:[\w$]+\.)+\w*(?:Exception|Error)\b.*)$",
        r"^\[[^\]]*\]\[(?:ERROR|FATAL)\s*\]\[[^\]]*\] (.+)$",
    ):
        if found := re.search(pattern, log, re.MULTILINE):
            reason = found[found.lastindex or 0].replace("\n#", "\n")
            return " ".join(reason.split()).removesuffix(".")
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else "it ended without a word"
