"""How much this process and the node hold: memory, open files, threads; and whether it grows."""

from __future__ import annotations

import gc
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from opensearchpy import OpenSearch

MB = 1 << 20


@dataclass(frozen=True)
class Footprint:
    """Of one moment; sizes in bytes. ``heap`` is the node's after a full collection, 0 where it can't be had."""

    second: float
    rss: int
    heap: int
    files: int
    threads: int


@dataclass
class Watch:
    """Looks every ``interval`` seconds, in a thread of its own."""

    client: OpenSearch
    index: str
    interval: float
    seen: list[Footprint] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._begun = time.monotonic()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(self.interval):
            self.seen.append(self.look())

    def look(self) -> Footprint:
        heap = heap_in_use(self.client, self.index)
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        files = len(list(Path("/proc/self/fd").iterdir()))
        rss = pages * os.sysconf("SC_PAGE_SIZE")
        return Footprint(time.monotonic() - self._begun, rss, heap, files, threading.active_count())

    def growth(self, what: str) -> float:
        """What the line through the last two thirds gains from their begin to their end."""
        kept = self.seen[len(self.seen) // 3 :]
        seconds = np.array([each.second for each in kept])
        slope, _ = np.polyfit(seconds, [getattr(each, what) for each in kept], 1)
        return float(slope * (seconds[-1] - seconds[0]))


def heap_in_use(client: OpenSearch, index: str) -> int:
    """Bytes after a full collection; 0 where the node's JVM is out of reach or has no jcmd."""
    (node,) = client.nodes.info(metric="process")["nodes"].values()
    jvm = Path(f"/proc/{node['process']['id']}")
    try:
        ours = b"org.opensearch.bootstrap.OpenSearch" in (jvm / "cmdline").read_bytes()
        jcmd = (jvm / "exe").resolve().with_name("jcmd")
    except OSError:
        return 0
    if not ours or not jcmd.exists():
        return 0
    client.indices.flush(index=index)
    subprocess.run([jcmd, jvm.name, "GC.run"], check=True, capture_output=True, timeout=60)
    (stats,) = client.nodes.stats(metric="jvm")["nodes"].values()
    return int(stats["jvm"]["mem"]["heap_used_in_bytes"])
