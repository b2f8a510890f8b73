"""How full the disks are to which an index's shards belong, before anything is written to them.

At its high watermark OpenSearch moves shards away, at the flood stage it blocks their indices for everybody's writes:
whoever fills an index of somebody else's stops before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing.patience import Waiting, retrying
from opensearch_multivector.plugin.connection import cluster_errors

_LOOK_SECONDS = 10.0
_DISK = "cluster.routing.allocation.disk"
_HIGH = "90%"
_UNITS = {"tb": 2**40, "gb": 2**30, "mb": 2**20, "kb": 2**10, "b": 1}


class DiskWatch:
    """Looks at most every ten seconds, and waits while a disk is above the high watermark.

    ``waiting``: see `retrying`. Without the permission to look (`cluster:monitor/nodes/stats`) nothing is watched.
    """

    def __init__(
        self, client: OpenSearch, index: str, patience: float, stop: threading.Event, waiting: Waiting | None = None
    ) -> None:
        self._client = client
        self._index = index
        self._retrying = retrying(patience, stop, lambda error: isinstance(error, _FullError), waiting)
        self._looked_at = float("-inf")
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when there is room. Raises ClusterError where there is none for longer than patience lasts."""
        with self._lock:
            if time.monotonic() - self._looked_at < _LOOK_SECONDS:
                return
            self._retrying(self._look)
            self._looked_at = time.monotonic()

    def _look(self) -> None:
        with cluster_errors():
            if said := full_disk(self._client, self._index):
                raise _FullError(said)


class _FullError(ClusterError):
    """A disk is above its high watermark."""


def full_disk(client: OpenSearch, index: str) -> str | None:
    """A sentence on a node with a shard of the index and a disk above the high watermark; None where there is none.

    None, too, where the cluster has such watermarks turned off, or won't tell. Raises opensearch-py's exceptions.
    """
    try:
        stats = client.nodes.stats(metric="fs", params={"filter_path": "nodes.*.name,nodes.*.fs.total"})
    except AuthorizationException:
        return None
    nodes: dict[str, Any] = stats.get("nodes", {})
    settings = _settings(client)
    if str(settings.get("threshold_enabled", True)).lower() == "false":
        return None
    high = str(settings.get("watermark", {}).get("high", _HIGH))
    holders = _holders(client, index)
    for node_id, node in sorted(nodes.items()):
        total = node.get("fs", {}).get("total", {})
        size, free = total.get("total_in_bytes", 0), total.get("available_in_bytes", 0)
        if size and (holders is None or node_id in holders) and free < wanted_free(high, size):
            return (
                f"the disk of node {node['name']} is {1 - free / size:.0%} full, above the high watermark ({high}): "
                "make room there, or add a node"
            )
    return None


def wanted_free(watermark: str, size: int) -> float:
    """How many bytes of a disk of ``size`` a watermark wants free: given as used (90%, 0.9) or as free (10gb)."""
    text = watermark.strip().lower()
    if text.endswith("%"):
        return size * (1 - float(text[:-1]) / 100)
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return float(text[: -len(unit)]) * factor
    return size * (1 - float(text))


def _settings(client: OpenSearch) -> Mapping[str, Any]:
    try:
        answer = client.cluster.get_settings(params={"include_defaults": "true", "filter_path": f"*.{_DISK}"})
    except AuthorizationException:
        return {}
    merged: dict[str, Any] = {}
    for level in ("defaults", "persistent", "transient"):
        found: Any = answer.get(level, {})
        for key in _DISK.split("."):
            found = found.get(key, {})
        merged |= {**found, "watermark": merged.get("watermark", {}) | found.get("watermark", {})}
    return merged


def _holders(client: OpenSearch, index: str) -> frozenset[str] | None:
    """Ids of the nodes that have a copy of a shard of the index; None where they are not told: any may."""
    path = "indices.*.shards.*.routing.node"
    try:
        stats = client.indices.stats(index=index, metric="docs", params={"level": "shards", "filter_path": path})
    except AuthorizationException:
        return None
    shards = stats.get("indices", {}).get(index, {}).get("shards", {})
    return frozenset(copy["routing"]["node"] for copies in shards.values() for copy in copies) or None
