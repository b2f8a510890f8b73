"""Where a run stands, kept in the cluster beside the index that it fills."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import asdict, dataclass, replace
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing.ledger import Counts, Mark
from opensearch_multivector.indexing.versions import EPOCH_ORIGIN
from opensearch_multivector.plugin.state import STATE_INDEX, Stored, get_state, put_state
from opensearch_multivector.plugin.stored_types import read_back

_TRIES = 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run of one source into one index.

    ``index_uuid`` tells an index from a later one of the same name; ``owner`` is the process that writes, anew for
    each; ``dead_letters`` is the file that rejections go to.
    """

    index: str
    index_uuid: str
    source: str
    epoch: int
    owner: str
    mark: Mark
    counts: Counts
    dead_letters: str
    done: bool = False

    def to_state(self) -> dict[str, Any]:
        """As stored."""
        return asdict(self) | {"mark": asdict(self.mark) | {"digest": self.mark.digest.hex()}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Checkpoint:
        """Inverse of `to_state`. Raises MismatchError on what is none."""

        def build() -> Checkpoint:
            mark = state["mark"] | {"digest": bytes.fromhex(state["mark"]["digest"])}
            return cls(**(state | {"mark": Mark(**mark), "counts": Counts(**state["counts"])}))

        return read_back(build, f"the place of an interrupted run, in {STATE_INDEX!r},")


class CheckpointStore:
    """The checkpoint of one (index, source), written by one process at a time.

    Every write depends on the one before: a process that was thought dead, or a second run of the same source, finds
    its writes refused and stops with ClusterError.
    """

    def __init__(self, client: OpenSearch, index: str, index_uuid: str, source: str) -> None:
        self._client = client
        self._index = index
        self._index_uuid = index_uuid
        self._source = source
        self._owner = uuid.uuid4().hex
        digest = hashlib.blake2b(f"{index}\0{source}".encode(errors="backslashreplace"), digest_size=16)
        self._key = f"run-{digest.hexdigest()}"
        self._stored: Stored | None = None

    def claim(self) -> Checkpoint | None:
        """Take an interrupted run over, if there is one: what its first process writes from now on is refused."""
        for _ in range(_TRIES):
            checkpoint = self._unfinished()
            if checkpoint is None:
                return None
            mine = replace(checkpoint, owner=self._owner)
            stored = put_state(self._client, self._key, mine.to_state(), self._stored)
            if stored is not None:
                self._stored = stored
                return mine
        raise ClusterError(self._contended())

    def begin(self, seed: bytes, dead_letters: str) -> Checkpoint:
        """Start a run from the first line, in an epoch later than that of any run into this index before."""
        epoch = _next_epoch(self._client, self._index)
        checkpoint = Checkpoint(
            self._index, self._index_uuid, self._source, epoch, self._owner, Mark(0, seed), Counts(), dead_letters
        )
        self._stored = get_state(self._client, self._key)
        self.save(checkpoint)
        return checkpoint

    def save(self, checkpoint: Checkpoint) -> None:
        """Write it down. Raises ClusterError where another process has taken over."""
        stored = put_state(self._client, self._key, checkpoint.to_state(), self._stored)
        if stored is None:
            # A write whose answer got lost is repeated by the client and then conflicts with itself.
            current = get_state(self._client, self._key)
            if current is None or current.value != checkpoint.to_state():
                raise ClusterError(self._contended())
            stored = current
        self._stored = stored

    def _unfinished(self) -> Checkpoint | None:
        """The checkpoint of a run that was interrupted, if it filled this very index."""
        self._stored = get_state(self._client, self._key)
        if self._stored is None:
            return None
        checkpoint = Checkpoint.from_state(self._stored.value)
        return None if checkpoint.done or checkpoint.index_uuid != self._index_uuid else checkpoint

    def _contended(self) -> str:
        return (
            f"another process is indexing {self._source!r} into {self._index!r} right now: let it finish, or stop it "
            "and run this command again"
        )


def _next_epoch(client: OpenSearch, index: str) -> int:
    digest = hashlib.blake2b(index.encode(errors="backslashreplace"), digest_size=16)
    key = f"epoch-{digest.hexdigest()}"
    for _ in range(_TRIES):
        stored = get_state(client, key)
        last = int(stored.value["epoch"]) if stored else 0
        epoch = max(int(time.time()) - EPOCH_ORIGIN, last + 1)
        if put_state(client, key, {"index": index, "epoch": epoch}, stored) is not None:
            return epoch
    raise ClusterError(f"many runs into {index!r} start at once: try again")
