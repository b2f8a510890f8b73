"""One run: entries are read, encoded and sent, the ledger kept, checkpoints and dead letters written.

Reading, encoding and all bookkeeping happen in the calling thread; only bulk requests wait in threads of their own, so
encoding and sending overlap and nothing here needs a lock.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from opensearch_multivector.errors import OsmvError
from opensearch_multivector.indexing.bulk import BulkItem, BulkSender, Result
from opensearch_multivector.indexing.checkpoints import Checkpoint, CheckpointStore
from opensearch_multivector.indexing.dead_letters import DeadLetters, Rejection
from opensearch_multivector.indexing.document import DocumentMaker
from opensearch_multivector.indexing.ledger import Counts, Ledger, Mark
from opensearch_multivector.indexing.patience import Patience, Waiting
from opensearch_multivector.indexing.readers.base import Entry, Reader
from opensearch_multivector.indexing.records import Record, RejectedError

_REJECTIONS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is held at once, and for how long.

    ``batch``: texts encoded together. ``bulk_bytes``, ``bulk_documents``: size of a bulk request. ``in_flight``: bulk
    requests on their way. ``open_lines``: lines beyond the watermark. ``checkpoint_seconds``, ``checkpoint_lines``:
    whichever comes first. ``patience``: seconds to keep trying while the cluster is busy or out of reach.
    """

    batch: int = 64
    bulk_bytes: int = 4_000_000
    bulk_documents: int = 500
    in_flight: int = 2
    open_lines: int = 20_000
    checkpoint_seconds: float = 1.0
    checkpoint_lines: int = 2_000
    patience: float = 300.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: ``consumed`` of ``size`` (None: unknown) in the reader's unit."""

    consumed: int
    size: int | None
    counts: Counts


@dataclass(slots=True)
class _Open:
    """A line on its way through encoding and sending, with those of the same id that wait for its outcome."""

    entry: Entry
    record: Record | None
    truncated: bool = False
    vector_bytes: int = 0
    waiting: deque[tuple[Entry, Record]] = field(default_factory=deque)


class IndexRun:
    """Fills an index from a reader's entries, from a checkpoint on."""

    def __init__(
        self,
        reader: Reader,
        maker: DocumentMaker,
        sender: BulkSender,
        checkpoint: Checkpoint,
        store: CheckpointStore,
        dead_letters: DeadLetters,
        *,
        limits: Limits,
        progress: Callable[[Progress], None],
        waiting: Waiting,
        stop: threading.Event,
    ) -> None:
        self._reader = reader
        self._maker = maker
        self._sender = sender
        self._checkpoint = checkpoint
        self._store = store
        self._dead_letters = dead_letters
        self._limits = limits
        self._progress = progress
        self._stopped = stop.is_set
        self._patience = Patience(limits.patience, stop, waiting, blocks_pass=False)
        self._ledger = Ledger(checkpoint.mark, checkpoint.counts)
        self._by_id: dict[str, _Open] = {}
        self._waiting = 0
        self._batch: list[_Open] = []
        self._buffer: list[BulkItem] = []
        self._buffer_bytes = 0
        self._flights: set[Future[list[Result[BulkItem]]]] = set()
        self._pool = ThreadPoolExecutor(limits.in_flight, thread_name_prefix="osmv-bulk")
        self._last_save = self._last_send = time.monotonic()
        self.rejections: list[Rejection] = []
        self.bytes_sent = 0

    @property
    def counts(self) -> Counts:
        """What became of the lines so far."""
        return self._ledger.counts

    def run(self, entries: Iterable[Entry]) -> bool:
        """Index the entries; False where it was stopped before their end.

        Whatever ends it, what is in flight is waited for and the checkpoint written, so that a later run goes on from
        there. Raises ClusterError and InputError.
        """
        self._report()
        try:
            finished = self._consume(entries)
            if not finished:
                self._settle()
            self._patience(lambda: self._save(done=finished))
        except OsmvError:
            self._settle()
            with contextlib.suppress(OsmvError):
                self._save()
            raise
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._dead_letters.close()
        return finished

    def _consume(self, entries: Iterable[Entry]) -> bool:
        for entry in entries:
            if self._stopped():
                return False
            self._ledger.register(Mark(entry.line, entry.digest, entry.consumed))
            try:
                record = self._reader.parse(entry)
            except RejectedError as rejected:
                self._reject(entry, rejected.doc_id, rejected.reason)
            else:
                self._admit(entry, record)
            if len(self._batch) >= self._limits.batch:
                self._encode()
            if self._waiting >= self._limits.batch:
                self._drain()
            self._save_if_due()
        while self._by_id and not self._stopped():
            self._drain()
        return not self._by_id

    def _admit(self, entry: Entry, record: Record) -> None:
        leader = self._by_id.get(record.doc_id)
        if leader is None:
            self._by_id[record.doc_id] = leader = _Open(entry, record)
            self._batch.append(leader)
        else:
            # Whether this is a duplicate depends on whether the line before it gets in.
            leader.waiting.append((entry, record))
            self._waiting += 1

    def _encode(self) -> None:
        batch, self._batch = self._batch, []
        records = [document.record for document in batch if document.record is not None]
        for document, record, made in zip(batch, records, self._maker.make(records), strict=True):
            document.record = None
            if isinstance(made, RejectedError):
                self._close(record.doc_id, made.reason)
                continue
            document.truncated, document.vector_bytes = made.truncated, made.vector_bytes
            full = len(self._buffer) >= self._limits.bulk_documents
            if self._buffer and (full or self._buffer_bytes + len(made.body) > self._limits.bulk_bytes):
                self._send()
            self._buffer.append(BulkItem(document.entry.line, record.doc_id, made.body, self._checkpoint.epoch))
            self._buffer_bytes += len(made.body)
        if time.monotonic() - self._last_send >= self._limits.checkpoint_seconds:
            self._send()

    def _send(self) -> None:
        if not self._buffer:
            return
        items, self._buffer = self._buffer, []
        self.bytes_sent += self._buffer_bytes
        self._buffer_bytes = 0
        while self._flights and (
            len(self._flights) >= self._limits.in_flight or len(self._ledger) > self._limits.open_lines
        ):
            self._land()
        self._flights.add(self._pool.submit(self._sender.send, items))
        self._last_send = time.monotonic()

    def _land(self) -> None:
        """Wait for the next bulk request to come back, and close its lines."""
        done, self._flights = wait(self._flights, return_when=FIRST_COMPLETED)
        for future in done:
            for result in future.result():
                self._close(result.item.doc_id, result.reason)
        self._report()

    def _report(self) -> None:
        self._progress(Progress(self._ledger.mark.consumed, self._reader.size, self._ledger.counts))

    def _drain(self) -> None:
        """Send all there is and wait for it."""
        self._encode()
        self._send()
        while self._flights:
            self._land()
            self._save_if_due()

    def _settle(self) -> None:
        """Wait for what is in flight, send no more; an error there is not the first, or the user wanted to stop."""
        while self._flights:
            with contextlib.suppress(OsmvError):
                self._land()

    def _close(self, doc_id: str, reason: str | None) -> None:
        """A document was indexed (``reason`` None) or refused; decide about the lines that waited for it."""
        document = self._by_id.pop(doc_id)
        self._waiting -= len(document.waiting)
        line = document.entry.line
        if reason is None:
            self._ledger.resolve(line, indexed=True, truncated=document.truncated, vector_bytes=document.vector_bytes)
            for entry, _ in document.waiting:
                self._reject(entry, doc_id, f"duplicate of line {line}")
            return
        self._reject(document.entry, doc_id, reason)
        for entry, record in document.waiting:
            self._admit(entry, record)

    def _reject(self, entry: Entry, doc_id: str | None, reason: str) -> None:
        rejection = Rejection(entry.line, doc_id, reason)
        self._dead_letters.write(rejection, self._reader.show(entry))
        self._ledger.resolve(entry.line, indexed=False)
        if len(self.rejections) < _REJECTIONS_SHOWN:
            self.rejections.append(rejection)

    def _save_if_due(self) -> None:
        behind = self._ledger.mark.line - self._checkpoint.mark.line
        late = time.monotonic() - self._last_save >= self._limits.checkpoint_seconds
        if behind >= self._limits.checkpoint_lines or (late and behind):
            self._patience(self._save)

    def _save(self, *, done: bool = False) -> None:
        # Dead letters first: what the checkpoint calls resolved must be on the disk.
        self._dead_letters.sync()
        self._checkpoint = replace(self._checkpoint, mark=self._ledger.mark, counts=self._ledger.counts, done=done)
        self._store.save(self._checkpoint)
        self._last_save = time.monotonic()
