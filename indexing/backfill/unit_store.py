"""The work of each shard as it is kept in the cluster, where any number of workers on any machines change it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing.backfill.horizons import Horizon
from opensearch_multivector.indexing.backfill.units import Lease, Letter, ShardWork
from opensearch_multivector.plugin.attachments import Attachment
from opensearch_multivector.plugin.state import forget_state, get_state, put_state

_TRIES = 100
LEASE_SECONDS = 30.0

Result = TypeVar("Result")


class UnitStore:
    """Reads and changes the work of an attachment's shards; ``owner`` names this worker to people.

    Each change is a function of what is stored, made again where somebody else has written in between. Raises
    ClusterError.
    """

    def __init__(
        self, client: OpenSearch, attachment: Attachment, owner: str, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self._client = client
        self._attachment = attachment
        self._owner = owner
        self._seconds = lease_seconds

    def read(self, shard: int) -> ShardWork | None:
        """A shard's work; None where nobody has begun with it, or only for an earlier attachment."""
        stored = get_state(self._client, self._key(shard))
        if stored is None or stored.value["made_at"] != self._attachment.made_at:
            return None
        return ShardWork.from_state(stored.value["work"])

    def see(self, horizon: Horizon) -> ShardWork:
        """Note how far a shard can be read now."""

        def seen(work: ShardWork | None) -> tuple[ShardWork, ShardWork]:
            after = (work or ShardWork(horizon.history)).seen(horizon.history, horizon.seq_no)
            return after, after

        return self._change(horizon.shard, seen)

    def lease(self, horizon: Horizon, size: int) -> Lease | None:
        """A range of the shard to work at, up to the horizon; None where there is none to be had now."""
        token = uuid.uuid4().hex
        return self._change(
            horizon.shard,
            lambda work: _there(work).leased(token, self._owner, time.time(), self._seconds, size, horizon.seq_no),
        )

    def advance(
        self, shard: int, lease: Lease, to: int, counts: Mapping[str, int], refused: Sequence[Letter]
    ) -> Lease | None:
        """Note that a page is done; None where the lease is another worker's by now."""
        until = time.time() + self._seconds
        return self._change(shard, lambda work: _there(work).advanced(lease, to, until, counts, refused))

    def renew(self, shard: int, lease: Lease, pace: Mapping[str, Any]) -> Lease | None:
        """Hold a lease for longer; None where it is another worker's by now. ``pace``: see `Lease`."""
        until = time.time() + self._seconds
        return self._change(shard, lambda work: _there(work).renewed(lease, until, pace))

    def give_back(self, shard: int, lease: Lease) -> None:
        """Let another worker go on with the lease at once."""
        self._change(shard, lambda work: _there(work).renewed(lease, 0.0))

    def retry_failed(self, shard: int) -> int:
        """Have what was refused tried again; how many documents that was."""

        def retried(work: ShardWork | None) -> tuple[ShardWork, int]:
            return (_there(work).retried(), work.failed) if work else (ShardWork(""), 0)

        return self._change(shard, retried) if self.read(shard) else 0

    def forget(self, shard: int) -> None:
        """Drop what is kept of a shard, for a field that is detached."""
        forget_state(self._client, self._key(shard))

    def _change(self, shard: int, change: Callable[[ShardWork | None], tuple[ShardWork, Result]]) -> Result:
        key, attachment = self._key(shard), self._attachment
        for attempt in range(_TRIES):
            stored = get_state(self._client, key)
            # Of an earlier attachment of the same name nothing counts.
            own = stored is not None and stored.value["made_at"] == attachment.made_at
            before = ShardWork.from_state(stored.value["work"]) if stored is not None and own else None
            after, result = change(before)
            if after == before:
                return result
            value = {"index": attachment.index, "field": attachment.field, "shard": shard}
            value |= {"made_at": attachment.made_at, "work": after.to_state()}
            if put_state(self._client, key, value, stored) is not None:
                return result
            time.sleep(min(0.01 * attempt, 0.2))
        raise ClusterError(f"many workers change the state of shard {shard} of {attachment.index!r} at once: try again")

    def _key(self, shard: int) -> str:
        return f"backfill-{self._attachment.index}-{self._attachment.field}-{shard}"


def _there(work: ShardWork | None) -> ShardWork:
    if work is None:
        raise ClusterError("the state of this backfill was removed meanwhile: was the field detached?")
    return work
