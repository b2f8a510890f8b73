"""An index is copied, and the copy takes its place: the aliases move while everybody goes on reading and writing.

1. Anybody may copy: rounds of the ordinary backfill, whose writes go by the old index's sequence numbers.
2. One process takes over (``swapping:TOKEN``). Its last round covers all that others had read by then, so that a write
   of theirs that comes late changes nothing.
3. From `TAIL` on documents are copied by guarded writes alone (`tail`), by as many processes as there are.
4. All aliases move in one action. What still reaches the old index is carried over until nothing comes any more; then
   the old index is closed to writes, and the field is attached to the new one in place.

Each step is seen from the cluster: killed at any moment, the same call goes on.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.attach.copied import PIPELINES, set_settings
from opensearch_multivector.indexing.attach.tail import Tail
from opensearch_multivector.indexing.backfill import Filler
from opensearch_multivector.indexing.backfill.horizons import number_of_shards, read_horizons
from opensearch_multivector.indexing.backfill.load import load_spec
from opensearch_multivector.indexing.backfill.unit_store import UnitStore
from opensearch_multivector.indexing.patience import Patience
from opensearch_multivector.plugin.attachments import (
    IN_PLACE,
    NEW,
    TAIL,
    Attachment,
    concrete_index,
    find_attachment,
    get_attachment,
    put_attachment,
    remove_attachment,
    taken_over,
    update_attachment,
)
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.mapping import index_exists

# A round as short as this is followed by the last one; one that is not much shorter than that before it, too, as
# guarded writes are quicker than encoding.
_LITTLE_SECONDS = 0.5
_SHRINKS = 0.8
_PASSES = 10
_TAIL_SECONDS = 30.0
_REMEMBERED = "1h"


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of the swap: ``written`` and ``deleted`` in the new index by guarded writes.

    ``both_sides``: ids of documents that were written in the old index and in the new one at the time of the swap: the
    new one's write stands. ``refused``: ids of documents of the last moments that the new index did not take, with the
    reason. ``blocked_seconds``: for which writes were refused. ``interrupted``: the same call goes on.
    """

    source: str
    target: str
    aliases: tuple[str, ...] = ()
    written: int = 0
    deleted: int = 0
    both_sides: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    blocked_seconds: float = 0.0
    interrupted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As `osmv attach --mode new --json` prints it."""
        return asdict(self)


def is_copied(attachment: Attachment) -> bool:
    """Whether an index is being copied, or its copy not yet alone: `replace_index` goes on with it."""
    return attachment.mode == NEW or attachment.phase == TAIL


def replace_index(
    client: OpenSearch,
    name: str,
    field: str,
    filler: Callable[[str, str], Filler],
    *,
    block_writes: bool = False,
    quiet: float = 2.0,
    patience: float = 300.0,
    message: Callable[[str], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Replaced:
    """Copy the index of an attachment of mode new, and let the copy take its place. ``name``: of either, or an alias.

    ``filler`` makes what fills the attachment of an index in a phase. ``block_writes``: refuse writes for the moment of
    the swap, so that none reaches both. ``quiet``: seconds without a write to the old index after which it is closed to
    them: by then those have got there that were on their way when the aliases moved. Raises MismatchError where a
    document can't be copied or another process is at it, ClusterError.
    """
    stop = stop or threading.Event()
    there = get_attachment(client, name, field)
    old = _old(client, there)
    if old is None:
        update_attachment(client, there.index, field, phase="")
        return Replaced(there.source, there.index)
    return _Swap(client, old, filler, block_writes, quiet, patience, message, stop).run()


def _old(client: OpenSearch, attachment: Attachment) -> Attachment | None:
    """The record of the old index, by that of either; None: all is done but to say so."""
    if attachment.mode == NEW:
        return attachment
    if attachment.phase != TAIL:
        raise MismatchError(f"index {attachment.index!r} is no copy that is still to take another's place")
    old = find_attachment(client, attachment.source, attachment.field)
    return old if old is not None and old.made_at == attachment.made_at else None


class _Swap:
    def __init__(
        self,
        client: OpenSearch,
        old: Attachment,
        filler: Callable[[str, str], Filler],
        block_writes: bool,
        quiet: float,
        patience: float,
        message: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._old = old
        self._filler = filler
        self._block = block_writes
        self._quiet = quiet
        self._seconds = patience
        self._patience = Patience(patience, stop)
        self._message = message
        self._stop = stop
        self._deletions: tuple[int, ...] | None = None
        self._blocked_at: float | None = None

    def run(self) -> Replaced:
        self._check_pipeline()
        if self._old.phase != TAIL:
            # A swap that was begun goes on with its last round, as what others may copy beside it is not known.
            if not self._old.phase and not self._copied():
                return self._interrupted()
            try:
                entered = self._enter_tail()
            except BaseException:
                self._unblock()
                raise
            if not entered:
                self._unblock()
                return self._interrupted()
        return self._take_place()

    def _check_pipeline(self) -> None:
        """What a pipeline has seen in the old index it would see again, where it can't be passed over."""
        if self._block or not index_exists(self._client, self._old.index) or not self._aliases():
            return
        pipeline = self._settings(self._old.index).get("final_pipeline")
        if pipeline not in (None, "_none"):
            raise MismatchError(
                f"index {self._old.index!r} has the final pipeline {pipeline!r}, which would see a document twice "
                "that is written just before the swap: give --block-writes"
            )

    def _interrupted(self) -> Replaced:
        return Replaced(self._old.index, self._old.target, interrupted=True)

    def _copied(self) -> bool:
        """Copy in rounds until one finds little; False where it was stopped or paused."""
        filler = self._filler(self._old.index, "")
        before = float("inf")
        for _ in range(_PASSES):
            started = time.monotonic()
            if not filler.round():
                return False
            took = time.monotonic() - started
            if took < _LITTLE_SECONDS or took > before * _SHRINKS:
                break
            before = took
        return True

    def _enter_tail(self) -> bool:
        """Be the only one who copies, cover all that others have read, and leave the ordinary copying for good."""
        old, token = self._old, f"swapping:{uuid.uuid4().hex}"
        if self._block:
            self._close_old()
        old = self._enter(old, token, lambda now: now.phase != TAIL)
        self._deletions = self._counted()
        filler = self._filler(old.index, token)
        filler.retry_failed()
        if not filler.round():
            return False
        self._check_copied(old)
        # What was deleted by then is forgotten; of what is deleted from now on the new index remembers the versions.
        with cluster_errors():
            self._patience(lambda: self._client.indices.refresh(index=old.target))
        set_settings(self._client, old.target, gc_deletes=_REMEMBERED)
        uuid_ = concrete_index(self._client, old.target)[1]
        new = replace(
            old, index=old.target, index_uuid=uuid_, mode=IN_PLACE, phase=TAIL, source=old.index, paused=False
        )
        put_attachment(self._client, new)
        self._old = self._enter(old, TAIL, lambda now: now.phase == token)
        return True

    def _enter(self, old: Attachment, phase: str, may: Callable[[Attachment], bool]) -> Attachment:
        def check(now: Attachment) -> None:
            if now.made_at != old.made_at or now.detaching:
                raise MismatchError(f"field {old.field!r} of index {old.index!r} is being detached")
            if not may(now):
                raise MismatchError(taken_over(now))

        return update_attachment(self._client, old.index, old.field, check=check, phase=phase)

    def _check_copied(self, old: Attachment) -> None:
        units = UnitStore(self._client, old, "")
        for shard in range(number_of_shards(self._client, old.index)):
            work = units.read(shard)
            for failures in work.failures if work else ():
                letter = failures.letters[0]
                raise MismatchError(
                    f"document {letter.doc_id!r} of {old.index!r} can't be copied ({letter.reason}), and without it "
                    f"{old.target!r} does not take its place: mend that, and give the same command again"
                )

    def _take_place(self) -> Replaced:
        old, client = self._old, self._client
        if not index_exists(client, old.index):
            return self._finished((), Tail(client, old, load_spec(client, old), patience=1.0, stop=self._stop))
        tail = Tail(client, old, load_spec(client, old), patience=self._seconds, stop=self._stop)
        if aliases := self._aliases():
            for _ in range(_PASSES):
                started = time.monotonic()
                tail.writes()
                if time.monotonic() - started < _LITTLE_SECONDS:
                    break
            if self._stop.is_set():
                self._unblock()
                return self._interrupted()
            settings = self._settings(old.index)
            if self._block:
                self._settle_deletions(tail)
            set_settings(client, old.target, **{name: settings.get(name) for name in PIPELINES})
            with cluster_errors():
                self._patience(lambda: client.indices.refresh(index=old.target))
            if not self._block:
                tail.writes()  # as late as can be: what comes now is not in the copy until the aliases have moved
            self._patience(self._move)
            self._message(f"moved to {old.target}: {', '.join(sorted(aliases))}")
            # Neither index hidden, a pattern would find each document twice.
            set_settings(client, old.index, hidden=True)
            set_settings(client, old.target, hidden=settings.get("hidden"))
        blocked = time.monotonic() - self._blocked_at if self._blocked_at else 0.0
        self._carry(tail)
        return replace(self._finished(tuple(sorted(aliases)), tail), blocked_seconds=round(blocked, 2))

    def _carry(self, tail: Tail) -> None:
        """Carry over what comes to the old index until nothing does, and close it to writes."""
        given_up = time.monotonic() + _TAIL_SECONDS
        quiet_at = time.monotonic() + self._quiet
        while not self._blocked_at and time.monotonic() < min(quiet_at, given_up):
            time.sleep(0.1)
            if tail.writes():
                quiet_at = time.monotonic() + self._quiet
        self._close_old()
        tail.writes()
        self._settle_deletions(tail)

    def _settle_deletions(self, tail: Tail) -> None:
        counted = self._counted()
        if counted != self._deletions:
            tail.deletions()
            self._deletions = counted

    def _finished(self, aliases: tuple[str, ...], tail: Tail) -> Replaced:
        """The new index is as the old one was, and has an attachment in place."""
        old, client, carried = self._old, self._client, tail.carried
        there = index_exists(client, old.index)
        settings = self._settings(old.index) if there else {}
        set_settings(client, old.target, gc_deletes=settings.get("gc_deletes"))
        with cluster_errors():
            self._patience(lambda: client.indices.refresh(index=old.target))
        units = UnitStore(client, old, "")
        for shard in range(number_of_shards(client, old.index) if there else 0):
            units.forget(shard)
        remove_attachment(client, old.index, old.field)
        update_attachment(client, old.target, old.field, phase="")
        return Replaced(
            old.index,
            old.target,
            aliases,
            carried.written,
            carried.deleted,
            tuple(sorted(carried.both_sides)),
            tuple(sorted(carried.refused.items())),
        )

    def _counted(self) -> tuple[int, ...]:
        horizons = self._patience(lambda: read_horizons(self._client, self._old))
        return tuple(horizon.deletions for horizon in horizons)

    def _aliases(self) -> dict[str, dict[str, Any]]:
        index = self._old.index
        with cluster_errors():
            aliases: dict[str, dict[str, Any]] = self._client.indices.get_alias(index=index)[index]["aliases"]
        return aliases

    def _move(self) -> None:
        """All aliases at once, with all that they have; none left: an answer got lost, or another was quicker."""
        actions: list[dict[str, Any]] = []
        for alias, body in self._aliases().items():
            actions.append({"remove": {"index": self._old.index, "alias": alias, "must_exist": True}})
            actions.append({"add": {"index": self._old.target, "alias": alias, **body}})
        if actions:
            with cluster_errors():
                self._client.indices.update_aliases(body={"actions": actions})

    def _settings(self, index: str) -> dict[str, Any]:
        with cluster_errors():
            settings: dict[str, Any] = self._client.indices.get_settings(index=index)[index]["settings"]["index"]
        return settings

    def _close_old(self) -> None:
        """Let the old index take no more writes; when this returns, those that it was at are done."""
        if self._blocked_at is None:
            with cluster_errors():
                self._patience(lambda: self._client.indices.add_block(index=self._old.index, block="write"))
            self._blocked_at = time.monotonic()

    def _unblock(self) -> None:
        if self._blocked_at is not None and self._aliases():
            with cluster_errors():
                set_settings(self._client, self._old.index, **{"blocks.write": None})
            self._blocked_at = None
