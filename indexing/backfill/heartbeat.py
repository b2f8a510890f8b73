"""A lease is held for as long as its worker lives, also while that waits for the cluster or encodes a large batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing.backfill.unit_store import UnitStore
from opensearch_multivector.indexing.backfill.units import Lease

# What is left to the end, where the cluster does not answer: the lease then runs out by itself.
_JOIN_SECONDS = 5.0
_LEAST_SECONDS = 0.5


class Heartbeat:
    """A context in which a lease is renewed three times as often as needed; ``pace``: what is told beside."""

    def __init__(
        self, store: UnitStore, shard: int, lease: Lease, seconds: float, pace: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._store = store
        self._shard = shard
        self._lease = lease
        self._every = max(seconds / 3, _LEAST_SECONDS)
        self._pace = pace
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="osmv-heartbeat")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(_JOIN_SECONDS)

    def _beat(self) -> None:
        wait = min(1.0, self._every)  # the pace is to be seen soon
        while not self._end.wait(wait):
            wait = self._every
            with suppress(ClusterError):
                if self._store.renew(self._shard, self._lease, self._pace()) is None:
                    return
