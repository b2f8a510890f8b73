"""Which lines are done with. Does no I/O: the writer registers what it reads and resolves what is acknowledged."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the lines up to a point: ``read == indexed + rejected`` always holds.

    ``truncated``: indexed, but the text was longer than the encoder takes. ``vector_bytes``: size of the stored blobs.
    """

    indexed: int = 0
    rejected: int = 0
    truncated: int = 0
    vector_bytes: int = 0

    @property
    def read(self) -> int:
        """Documents read."""
        return self.indexed + self.rejected


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the input: everything up to ``line`` is resolved.

    ``digest`` is the chained hash of the input so far, ``consumed`` its size in the reader's unit.
    """

    line: int = 0
    digest: bytes = b""
    consumed: int = 0


@dataclass(slots=True)
class _Pending:
    mark: Mark
    resolved: bool = False
    indexed: bool = False
    truncated: bool = False
    vector_bytes: int = 0


@dataclass(slots=True)
class Ledger:
    """Lines are registered in rising order and resolved in any; the watermark is the last with none open before it.

    ``mark`` and ``counts`` speak of the lines up to the watermark alone, so that the two can be stored together and a
    run resumed from there counts nothing twice.
    """

    mark: Mark = field(default_factory=Mark)
    counts: Counts = field(default_factory=Counts)
    _order: deque[_Pending] = field(default_factory=deque)
    _by_line: dict[int, _Pending] = field(default_factory=dict)

    def __len__(self) -> int:
        """Lines registered beyond the watermark."""
        return len(self._order)

    def register(self, mark: Mark) -> None:
        """A line was read."""
        last = self._order[-1].mark.line if self._order else self.mark.line
        if mark.line <= last:
            raise ValueError(f"line {mark.line} registered after line {last}")
        pending = _Pending(mark)
        self._order.append(pending)
        self._by_line[mark.line] = pending

    def resolve(self, line: int, *, indexed: bool, truncated: bool = False, vector_bytes: int = 0) -> None:
        """A registered line was indexed or rejected, for good. Raises KeyError on an unknown or resolved line."""
        pending = self._by_line.pop(line)
        pending.resolved, pending.indexed = True, indexed
        pending.truncated, pending.vector_bytes = truncated, vector_bytes
        while self._order and self._order[0].resolved:
            done = self._order.popleft()
            self.mark = done.mark
            self.counts = replace(
                self.counts,
                indexed=self.counts.indexed + done.indexed,
                rejected=self.counts.rejected + (not done.indexed),
                truncated=self.counts.truncated + done.truncated,
                vector_bytes=self.counts.vector_bytes + done.vector_bytes,
            )
