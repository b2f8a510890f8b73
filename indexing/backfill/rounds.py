"""Fill an attached field once, or keep it filled: what `osmv backfill` and `osmv follow` call."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.backfill.by_time import By, TimeFollower
from opensearch_multivector.indexing.backfill.horizons import Horizon
from opensearch_multivector.indexing.backfill.load import load_maker, load_spec
from opensearch_multivector.indexing.backfill.probes import Prober, usual_probes
from opensearch_multivector.indexing.backfill.rate import RateControl
from opensearch_multivector.indexing.backfill.reconcile import reconcile
from opensearch_multivector.indexing.backfill.throttle import Throttle
from opensearch_multivector.indexing.backfill.worker import Pace, PausedError, Worker
from opensearch_multivector.plugin.attachments import Attachment, get_attachment, taken_over
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import DEFAULT_FIELD

# Deletions that the counters do not tell of are found by then.
_RECONCILE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class BackfillSummary:
    """What this process did, by documents looked at (one that was written meanwhile is looked at again).

    ``fresh``: their vectors were of their text; ``written``; ``conflicts``: written by others in between, and left to
    the next round; ``gone``: deleted in between; ``refused``: dead letters, see `osmv status`. ``orphans``: deleted
    from the sidecar. ``interrupted``: it was stopped or paused before the end. ``searches``: where the rate followed
    the users' searches, how these were (`Prober.report`).
    """

    index: str
    field: str
    seen: int
    fresh: int
    written: int
    conflicts: int
    gone: int
    refused: int
    orphans: int
    interrupted: bool
    searches: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As `osmv backfill --json` prints it."""
        return asdict(self)


Progress = Callable[[Mapping[str, int], int], None]


class Filler:
    """An attachment with all that is needed to fill it; one process's share of the work.

    ``by``: what was written is told by a time in the documents instead of sequence numbers. ``phase``: the phase of the
    attachment that this is for, as only its owner may fill a copy that takes over. ``progress`` is told what
    became of each page, and about how many documents there are; ``message`` what it waits for. ``stop``, once set, ends
    whatever runs, in order.
    """

    def __init__(
        self,
        client: OpenSearch,
        index: str,
        field: str = DEFAULT_FIELD,
        *,
        encoder: Encoder | None = None,
        term_encoder: TermEncoder | None = None,
        workers: int = 1,
        pace: Pace | None = None,
        by: By | None = None,
        phase: str = "",
        progress: Progress = lambda _counts, _documents: None,
        message: Callable[[str], None] = lambda _: None,
        stop: threading.Event | None = None,
    ) -> None:
        self.attachment: Attachment = get_attachment(client, index, field)
        if self.attachment.phase != phase:
            raise MismatchError(taken_over(self.attachment))
        self._client = client
        self._pace = pace or Pace()
        self._threads = workers
        self._stop = stop or threading.Event()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._documents = 0
        self._progress = progress
        self._deletions: tuple[int, ...] | None = None
        self._reconciled_at = 0.0
        spec = load_spec(client, self.attachment)
        self._throttle = Throttle(self._pace.rate, self._stop)
        self._prober = self._probing(message)
        self._worker = Worker(
            client,
            self.attachment,
            spec,
            load_maker(spec, encoder, term_encoder),
            pace=self._pace,
            stop=self._stop,
            throttle=self._throttle,
            told=self._prober.report if self._prober else dict,
            progress=self._count,
            message=message,
        )
        self._follower = None if by is None else TimeFollower(client, self.attachment, self._worker, by)

    def backfill(self) -> BackfillSummary:
        """Fill all that is there now, and then what was written meanwhile. Raises ClusterError and MismatchError."""
        with self._prober or nullcontext():
            finished = self.round() and self.round()
        return self.summary(finished)

    def follow(self, interval: float, after_round: Callable[[BackfillSummary], None]) -> BackfillSummary:
        """Round after round, ``interval`` seconds apart, until it is stopped; a pause is waited out."""
        with self._prober or nullcontext():
            while not self._stop.is_set():
                after_round(self.summary(self.round()))
                self._stop.wait(interval)
        return self.summary(finished=False)

    def round(self) -> bool:
        """One round, and in a sidecar the orphans where anything was deleted; False where it was stopped or paused."""
        try:
            with self._prober or nullcontext():
                deletions = self._by_time() if self._follower else self._by_numbers()
            self._reconcile(deletions)
            self._worker.show()
        except PausedError:
            return False
        return not self._stop.is_set()

    def retry_failed(self) -> int:
        """Have refused documents tried again by the next round; how many there are. Raises ClusterError."""
        return self._worker.retry_failed()

    def searches(self) -> dict[str, Any] | None:
        """How the users' searches are; None: nobody looks."""
        return self._prober.report() if self._prober else None

    def _probing(self, message: Callable[[str], None]) -> Prober | None:
        if self._pace.target_p99 is None:
            return None
        probes = self._pace.probes or usual_probes(self._client, self.attachment)
        control = RateControl(self._pace.target_p99, ceiling=self._pace.rate)
        prober = Prober(self._client, self.attachment.index, probes, control, self._throttle, message)
        prober.check()
        return prober

    def summary(self, finished: bool) -> BackfillSummary:
        """What was done so far."""
        names = ("seen", "fresh", "written", "conflicts", "gone", "refused", "orphans")
        counts = {name: self._counts[name] for name in names}
        return BackfillSummary(
            self.attachment.index, self.attachment.field, **counts, interrupted=not finished, searches=self.searches()
        )

    def _by_numbers(self) -> tuple[int, ...]:
        """All up to the shards' horizons; what differs where anything was deleted since."""
        horizons = self._worker.look()
        self._documents = sum(horizon.documents for horizon in horizons)
        self._run(horizons)
        # Counters of the primaries: a deletion raises them, a restarted node begins anew. Only that they differ counts.
        return tuple(horizon.deletions for horizon in horizons)

    def _by_time(self) -> tuple[int, ...]:
        """All that has a time since the last look; what differs, mostly, where anything was deleted since."""
        assert self._follower is not None
        self._follower.round()
        if not self.attachment.is_beside:
            return ()
        self._worker.show()
        with cluster_errors():
            documents, beside = (
                int(self._client.count(index=name)["count"]) for name in (self.attachment.index, self.attachment.target)
            )
        return (beside - documents,)

    def _run(self, horizons: Sequence[Horizon]) -> None:
        with ThreadPoolExecutor(self._threads, thread_name_prefix="osmv-backfill") as pool:
            runs = [pool.submit(self._worker.run, horizons) for _ in range(self._threads)]
            try:
                for run in runs:
                    run.result()
            except PausedError:
                raise
            except BaseException:
                self._stop.set()  # the others are of no use without it
                raise

    def _reconcile(self, deletions: tuple[int, ...]) -> None:
        if not self.attachment.is_beside:
            return
        overdue = time.monotonic() - self._reconciled_at > _RECONCILE_SECONDS
        # A worker that was too late may have written what the worker after it knew to be deleted.
        if deletions != self._deletions or overdue or self._counts.pop("lost", 0):
            deleted = reconcile(self._client, self.attachment, patience=self._pace.patience, stop=self._stop)
            self._count({"orphans": deleted})
            self._deletions, self._reconciled_at = deletions, time.monotonic()

    def _count(self, counts: Mapping[str, int]) -> None:
        with self._lock:
            self._counts.update(counts)
            self._progress(self._counts, self._documents)
