"""The loop that fills an attached field: take a range, read it, make what is not fresh, write it, say so.

A round goes up to the horizons of its beginning. What is written meanwhile, by others or by the round itself, lies
above them and is the next round's; our own writes are passed over there, since their hash is that of their text.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError, MismatchError
from opensearch_multivector.indexing.attach.copied import take_mapping
from opensearch_multivector.indexing.backfill.beside import Text, beside, has_half_a_pair
from opensearch_multivector.indexing.backfill.disk import DiskWatch
from opensearch_multivector.indexing.backfill.heartbeat import Heartbeat
from opensearch_multivector.indexing.backfill.horizons import Horizon, made_anew, number_of_shards, read_horizons
from opensearch_multivector.indexing.backfill.probes import Probe
from opensearch_multivector.indexing.backfill.scan import PAGE, Found, Scanner
from opensearch_multivector.indexing.backfill.sinks import Change, Fate, Sink, sink_of
from opensearch_multivector.indexing.backfill.throttle import Throttle
from opensearch_multivector.indexing.backfill.unit_store import LEASE_SECONDS, UnitStore
from opensearch_multivector.indexing.backfill.units import Lease, Letter
from opensearch_multivector.indexing.document import DocumentMaker, Made
from opensearch_multivector.indexing.patience import WORTH_SAYING, Patience
from opensearch_multivector.indexing.records import Record
from opensearch_multivector.plugin.attachments import NEW, Attachment, concrete_index, get_attachment, taken_over
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import FieldSpec

# So many documents refused and none taken: it is not the documents' fault.
_ALL_REFUSED = 20


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is done at once, and how fast.

    ``batch``: texts encoded together. ``page``: documents read at once, after which the place is noted. ``unit``: about
    how many documents a worker takes for itself. ``rate``: documents written per second, at most; None: as they come.
    ``patience``: seconds to wait for a cluster that is busy, blocked or out of reach. ``lease_seconds``: after which a
    worker that gives no sign is thought dead. ``target_p99``: milliseconds that the slowest hundredth of the users'
    searches may take, which the rate follows; ``probes``: bodies of such searches, none: made of the documents' words.
    """

    batch: int = 64
    page: int = PAGE
    unit: int = 5_000
    rate: float | None = None
    patience: float = 300.0
    lease_seconds: float = LEASE_SECONDS
    target_p99: float | None = None
    probes: tuple[Probe, ...] = ()


class PausedError(Exception):
    """Somebody has paused the attachment, or wants this worker to stop."""


class _LostError(Exception):
    """The lease is another worker's."""


class Worker:
    """Works at an attachment's units; safe to ``run`` in several threads at once.

    ``maker`` must be of the attachment's field. ``throttle`` lets documents pass; ``told`` is what is said of the pace
    beside. ``progress`` is told what became of each page's documents, ``message`` what it waits for, in a sentence.
    """

    def __init__(
        self,
        client: OpenSearch,
        attachment: Attachment,
        spec: FieldSpec,
        maker: DocumentMaker,
        *,
        pace: Pace,
        stop: threading.Event,
        throttle: Throttle | None = None,
        told: Callable[[], Mapping[str, Any]] = dict,
        progress: Callable[[Mapping[str, int]], None] = lambda _: None,
        message: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._attachment = attachment
        self._spec = spec
        self._maker = maker
        self._making = threading.Lock()
        self._beside_it = attachment.is_beside
        self._copies = attachment.mode == NEW
        self._pace = pace
        self._stop = stop
        self.progress = progress
        self._message = message
        self._told = told
        self._waits_for = ""
        self._waits_since = 0.0
        self._said = False
        self._refused_on_end = 0
        self.patience = Patience(pace.patience, stop, self._wait)
        self._throttle = throttle or Throttle(pace.rate, stop)
        self._disk = DiskWatch(client, attachment.target, pace.patience, stop, self._wait)
        self.scanner = Scanner(client, attachment, spec, self.patience)
        self._sink: Sink = sink_of(client, attachment, spec, patience=pace.patience, stop=stop, waiting=self._wait)
        owner = f"{socket.gethostname()}:{os.getpid()}"
        self._store = UnitStore(client, attachment, owner, pace.lease_seconds)
        self.page_size = pace.page
        self._target_uuid = Patience(pace.patience, stop)(lambda: concrete_index(client, attachment.target)[1])

    def look(self) -> tuple[Horizon, ...]:
        """How far the index can be read now, noted for all workers.

        Raises MismatchError where sequence numbers have begun anew under a sidecar, whose versions are made of them.
        """
        horizons = self.patience(lambda: read_horizons(self._client, self._attachment))
        if self._copies:
            here, field_ = self._attachment, self._attachment.field
            self.patience(lambda: take_mapping(self._client, here.index, here.target, field_))
        for horizon in horizons:
            before = self.patience(lambda shard=horizon.shard: self._store.read(shard))  # type: ignore[misc]
            if before and before.history != horizon.history and self._beside_it:
                raise MismatchError(
                    f"shard {horizon.shard} of index {self._attachment.index!r} was restored or allocated by force "
                    "since the sidecar was filled, which can't be compared with it any more: detach and attach again"
                )
            self.patience(lambda horizon=horizon: self._store.see(horizon))  # type: ignore[misc]
        return horizons

    def show(self) -> None:
        """Make what was written visible to searches. Raises ClusterError."""
        with cluster_errors():
            self.patience(lambda: self._client.indices.refresh(index=self._attachment.target))

    def retry_failed(self) -> int:
        """Have refused documents looked at again; how many there are. Raises ClusterError."""
        return sum(map(self._store.retry_failed, range(number_of_shards(self._client, self._attachment.index))))

    def run(self, horizons: Sequence[Horizon]) -> None:
        """Work until everything up to the horizons is done, by whomever.

        Raises PausedError where it is to stop before that, ClusterError and MismatchError.
        """
        while waiting := [horizon for horizon in horizons if not self._work_at(horizon)]:
            if not any(self._unit(horizon) for horizon in waiting):
                self.check()
                # What is left is in the hands of other workers; should they die, their leases run out.
                self._stop.wait(0.5)

    def _work_at(self, horizon: Horizon) -> bool:
        """Take units of a shard until there are none to be had; whether all is done up to its horizon."""
        while self._unit(horizon):
            pass
        work = self.patience(lambda: self._store.read(horizon.shard))
        return work is not None and not work.open_until(horizon.seq_no)

    def _unit(self, horizon: Horizon) -> bool:
        """Do a unit; whether there was one to be had."""
        self.check()
        # By documents, not numbers: where each was written often, most numbers have none.
        size = self._pace.unit * max(1, (horizon.seq_no + 1) // max(1, horizon.documents))
        lease = self.patience(lambda: self._store.lease(horizon, size))
        if lease is None:
            return False
        beating = Heartbeat(self._store, horizon.shard, lease, self._pace.lease_seconds, self.pace)
        with self._given_back(horizon.shard, lease) as holder, beating:
            for to, page in self.scanner.pages(horizon.shard, lease.after, lease.to, self._pace.page):
                self.check()
                counts, refused = self.fill(page)
                here = holder.lease
                holder.take(
                    self.patience(
                        lambda to=to, here=here, counts=counts, refused=refused: self._store.advance(  # type: ignore[misc]
                            horizon.shard, here, to, counts, refused
                        )
                    )
                )
                self.progress(counts)
        return True

    @contextmanager
    def _given_back(self, shard: int, lease: Lease) -> Iterator[_Holder]:
        """Whatever ends the work before its end, another worker may go on at once."""
        holder = _Holder(lease)
        try:
            yield holder
        except _LostError:
            self.progress({"lost": 1})
        except BaseException:
            with suppress(ClusterError):  # then it has to run out
                self._store.give_back(shard, holder.lease)
            raise

    def check(self) -> None:
        """Raise where there is no more right to go on: asked to stop, paused, detached, or an index is another."""
        if self._stop.is_set():
            raise PausedError
        attachment = self._attachment
        now = self.patience(lambda: get_attachment(self._client, attachment.index, attachment.field))
        self._check_record(now)
        for index, uuid in ((attachment.index, attachment.index_uuid), (attachment.target, self._target_uuid)):
            if self.patience(lambda index=index: concrete_index(self._client, index)) != (index, uuid):  # type: ignore[misc]
                raise MismatchError(made_anew(attachment))

    def _check_record(self, now: Attachment) -> None:
        attachment = self._attachment
        if now.made_at != attachment.made_at or now.detaching:
            raise MismatchError(f"field {attachment.field!r} of index {attachment.index!r} is being detached")
        if now.phase != attachment.phase:
            raise MismatchError(taken_over(now))
        if now.paused:
            raise PausedError

    def pace(self) -> dict[str, Any]:
        """How it goes, for people: what it waits for, and what is told of its speed."""
        rate = {"rate": round(self._throttle.rate, 1)} if self._throttle.rate is not None else {}
        return {**rate, **self._told()} | ({"waits_for": self._waits_for} if self._waits_for else {})

    def _wait(self, reason: str) -> None:
        """Called before each wait for the cluster: say it where it lasts, and see whether the work is still wanted."""
        now = time.monotonic()
        if not self._waits_for:
            self._waits_since = now
        elif not self._said and now - self._waits_since > WORTH_SAYING:
            self._message(f"waiting, for {self._pace.patience:,.0f} s at most: {reason}")
            self._said = True
        self._waits_for = reason
        if self._stop.is_set():
            raise PausedError
        with suppress(ClusterError):  # out of reach for this, too
            self._check_record(get_attachment(self._client, self._attachment.index, self._attachment.field))

    def _go_on(self) -> None:
        if self._said:
            self._message("going on")
        self._waits_for, self._said = "", False

    def fill(self, page: Sequence[Found]) -> tuple[Counter[str], list[Letter]]:
        """Make and write what is not fresh of a page's documents: what became of them, and which were refused."""
        self._go_on()
        counts: Counter[str] = Counter(seen=len(page))
        refused: list[Letter] = []
        stale: list[tuple[Found, Text]] = []
        for found in page:
            text = self.scanner.text_of(found)
            if self.scanner.is_fresh(found, text):
                counts["fresh"] += 1
            else:
                stale.append((found, text))
        while stale:
            size = self._throttle.portion(self._pace.batch)
            batch, stale = stale[:size], stale[size:]
            self._throttle.wait(len(batch))
            if self._stop.is_set():
                raise PausedError
            self._disk.wait()
            changes, bad = self._made(batch)
            refused += bad
            by_cluster = []
            for written in self._sink.write(changes):
                counts[written.fate] += 1
                if written.fate is Fate.REFUSED:
                    by_cluster.append(Letter(written.change.found.doc_id, written.reason))
            self._refused_on_end = self._refused_on_end + len(by_cluster) if len(by_cluster) == len(changes) else 0
            if self._refused_on_end >= _ALL_REFUSED:
                raise ClusterError(
                    f"the cluster refuses one document after the other, of them {by_cluster[0].doc_id!r}: "
                    f"{by_cluster[0].reason}"
                )
            refused += by_cluster
            self._go_on()
        counts[Fate.REFUSED] = len(refused)
        return +counts, refused

    def _made(self, batch: Sequence[tuple[Found, Text]]) -> tuple[list[Change], list[Letter]]:
        changes: list[Change] = []
        refused: list[Letter] = []
        to_encode: list[tuple[Found, Text, Record]] = []
        for found, text in batch:
            own = beside(self._spec, self._attachment, found.source, text)
            if has_half_a_pair(text.text):
                self._refuse(
                    found, text, "the text holds half a surrogate pair, which can't be encoded", changes, refused
                )
            elif text.text:
                to_encode.append((found, text, Record(found.doc_id, text.text, own)))
            else:
                stored = text.has_fields or (self._beside_it and not self._copies)
                changes.append(Change(found, text, own if stored else None))
        with self._making:
            made = list(self._maker.make([record for _, _, record in to_encode]))
        for (found, text, _), outcome in zip(to_encode, made, strict=True):
            if isinstance(outcome, Made):
                changes.append(Change(found, text, outcome.body))
            else:
                self._refuse(found, text, outcome.reason, changes, refused)
        return changes, refused

    def _refuse(self, found: Found, text: Text, reason: str, changes: list[Change], refused: list[Letter]) -> None:
        """Leave a document out, or copy it as it is: once the field is attached in place, it is looked at again."""
        if self._copies:
            changes.append(Change(found, text, None))
        else:
            refused.append(Letter(found.doc_id, reason))


class _Holder:
    """The lease as it was last renewed."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease

    def take(self, lease: Lease | None) -> None:
        if lease is None:
            raise _LostError
        self.lease = lease
