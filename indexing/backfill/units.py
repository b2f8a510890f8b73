"""Which sequence numbers of a shard are done, and who is at which: a value that changes by pure functions.

All that lies up to ``covered`` is done. Above it, workers hold *leases* of ranges, and advance in them page by page; a
lease that was not renewed in time is handed to whoever asks next. No harm comes of two workers at the same range, as
their writes are guarded; the times of different machines need not agree for more than the economy of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

from opensearch_multivector.plugin.state import STATE_INDEX
from opensearch_multivector.plugin.stored_types import read_back

# Of failures remembered; a shard's state stays small however many there are.
_RANGES_KEPT = 50
_LETTERS_KEPT = 10


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's right to (``after``, ``to``], until the time ``until`` (in seconds).

    ``pace``: how fast its worker goes and what it waits for, for people.
    """

    token: str
    owner: str
    after: int
    to: int
    until: float
    pace: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Letter:
    """A document that was refused, and why."""

    doc_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Failures:
    """``count`` documents of (``after``, ``to``] were refused; ``letters``: the first of them."""

    after: int
    to: int
    count: int
    letters: tuple[Letter, ...] = ()

    def joined(self, other: Failures) -> Failures:
        """With those of a later range, as one range."""
        letters = (*self.letters, *other.letters)[:_LETTERS_KEPT]
        return Failures(self.after, max(self.to, other.to), self.count + other.count, letters)


@dataclass(frozen=True, slots=True)
class ShardWork:
    """A shard's work: every sequence number up to ``horizon`` is done, leased, to be done again, or above ``handed``.

    ``handed``: up to where ranges have been given out for the first time. ``again``: ranges to be gone through once
    more. ``counts``: what became of the documents that were looked at, each as often as it was.
    """

    history: str
    horizon: int = -1
    handed: int = -1
    leases: tuple[Lease, ...] = ()
    again: tuple[tuple[int, int], ...] = ()
    failures: tuple[Failures, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def covered(self) -> int:
        """Everything up to here is done, but for what was refused."""
        return min([self.handed, *(lease.after for lease in self.leases), *(after for after, _ in self.again)])

    @property
    def failed(self) -> int:
        """How many documents were refused and not tried again."""
        return sum(failures.count for failures in self.failures)

    def open_until(self, to: int) -> bool:
        """Whether there is anything up to ``to`` that is not done."""
        return self.covered < to

    def seen(self, history: str, horizon: int) -> ShardWork:
        """After a look at the shard: further work, or all of it anew where its history is another.

        A primary that has just taken over may know of a lower global checkpoint than the one before it: nothing that
        was safe is unsafe by that, so the horizon never sinks.
        """
        if history != self.history:
            return ShardWork(history, horizon)
        return replace(self, horizon=max(self.horizon, horizon))

    def leased(
        self, token: str, owner: str, now: float, seconds: float, size: int, limit: int
    ) -> tuple[ShardWork, Lease | None]:
        """A lease of at most ``size`` sequence numbers below or at ``limit``; None where there is none to be had.

        What was begun and left comes first, then what is to be done again, then what is new.
        """
        if mine := self._lease(token):  # the answer to the first attempt got lost
            return self, mine
        until = now + seconds
        left = next((lease for lease in self.leases if lease.until <= now), None)
        if left is not None:
            taken = replace(left, token=token, owner=owner, until=until, pace={})
            return replace(self, leases=tuple(taken if lease is left else lease for lease in self.leases)), taken
        if self.again:
            (after, to), *others = self.again
            taken = Lease(token, owner, after, min(to, after + size), until)
            rest = ((taken.to, to),) if taken.to < to else ()
            return replace(self, leases=(*self.leases, taken), again=(*rest, *others)), taken
        to = min(self.handed + size, self.horizon, limit)
        if to <= self.handed:
            return self, None
        taken = Lease(token, owner, self.handed, to, until)
        return replace(self, leases=(*self.leases, taken), handed=to), taken

    def advanced(
        self,
        lease: Lease,
        to: int,
        until: float,
        counts: Mapping[str, int],
        refused: Sequence[Letter] = (),
    ) -> tuple[ShardWork, Lease | None]:
        """After a page of the lease, up to ``to``; at its end it is given back. None: it is somebody else's by now."""
        held = self._lease(lease.token)
        if held is not None and held.after == to:  # the answer to the first attempt got lost
            return self, held
        if held is None or held.after != lease.after:
            return self, None
        later = replace(held, after=to, until=until)
        others = tuple(each for each in self.leases if each.token != lease.token)
        failures = self.failures
        if refused:
            page = Failures(lease.after, to, len(refused), tuple(refused)[:_LETTERS_KEPT])
            failures = _fewer(tuple(sorted((*failures, page), key=lambda each: each.after)))
        work = replace(
            self,
            leases=others if to >= held.to else (*others, later),
            failures=failures,
            counts=_added(self.counts, counts),
        )
        return work, later

    def renewed(
        self, lease: Lease, until: float, pace: Mapping[str, Any] | None = None
    ) -> tuple[ShardWork, Lease | None]:
        """The lease for longer; None: it is somebody else's by now. A time in the past gives it back unfinished."""
        held = self._lease(lease.token)
        if held is None:
            return self, None
        later = replace(held, until=until, pace=held.pace if pace is None else pace)
        return replace(self, leases=tuple(later if each is held else each for each in self.leases)), later

    def retried(self) -> ShardWork:
        """With the ranges of what was refused to be gone through once more."""
        ranges = tuple((failures.after, failures.to) for failures in self.failures)
        return replace(self, again=(*self.again, *ranges), failures=())

    def _lease(self, token: str) -> Lease | None:
        return next((lease for lease in self.leases if lease.token == token), None)

    def to_state(self) -> dict[str, Any]:
        """As stored."""
        return asdict(self) | {"counts": dict(self.counts)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ShardWork:
        """Inverse of `to_state`. Raises MismatchError on what is none."""
        return read_back(lambda: cls._read(state), f"the record of a backfill's work, in {STATE_INDEX!r},")

    @classmethod
    def _read(cls, state: Mapping[str, Any]) -> ShardWork:
        failures = tuple(
            Failures(each["after"], each["to"], each["count"], tuple(Letter(**letter) for letter in each["letters"]))
            for each in state["failures"]
        )
        return cls(
            state["history"],
            state["horizon"],
            state["handed"],
            tuple(Lease(**lease) for lease in state["leases"]),
            tuple((after, to) for after, to in state["again"]),
            failures,
            dict(state["counts"]),
        )


def _fewer(failures: tuple[Failures, ...]) -> tuple[Failures, ...]:
    """Neighbours made one until there are few enough: what is tried again may be more, and is never less."""
    while len(failures) > _RANGES_KEPT:
        gaps = [later.after - earlier.to for earlier, later in pairwise(failures)]
        i = gaps.index(min(gaps))
        failures = (*failures[:i], failures[i].joined(failures[i + 1]), *failures[i + 2 :])
    return failures


def _added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) + more.get(name, 0) for name in counts.keys() | more.keys()}
