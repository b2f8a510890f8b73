"""Progress bars on stderr, with rate and time left: one for indexing, one for each configuration that is searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from opensearch_multivector.errors import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opensearch_multivector.indexing import Progress as IndexProgress


class Bars:
    """A context manager; its methods are what indexing and evaluation report to. A bar appears at its first report."""

    def __init__(self, corpus: str) -> None:
        self._corpus = visible(corpus)
        self._first_document: int | None = None
        self._tasks: dict[str, TaskID] = {}
        self._display = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[count]:,} {task.fields[unit]}, {task.fields[rate]:,.0f}/s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )

    def __enter__(self) -> Self:
        self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    def indexing(self, progress: IndexProgress) -> None:
        """Report where an indexing run stands."""
        count = progress.counts.read
        if self._first_document is None:
            self._first_document = count
        name = f"indexing {self._corpus}"
        self._show(name, "documents", count, count - self._first_document, progress.consumed, progress.size)

    def searching(self, configuration: str, done: int, total: int) -> None:
        """Report how many of a configuration's searches are done."""
        self._show(f"searching {configuration}", "searches", done, done, done, total)

    def exporting(self, done: int, total: int) -> None:
        """Report how many documents are written."""
        self._show(f"exporting {self._corpus}", "documents", done, done, done, total)

    def scoring(self, done: int, total: int) -> None:
        """Report how many documents are scored with a canary's queries."""
        self._show(f"scoring for {self._corpus}", "documents", done, done, done, total)

    def filling(self, counts: Mapping[str, int], documents: int, searches: Mapping[str, Any] | None = None) -> None:
        """Report how many documents of an attached field were looked at; those written meanwhile come again.

        ``searches``: how the users' searches are that the rate follows (`Prober.report`).
        """
        seen = counts.get("seen", 0)
        name = f"filling {self._corpus}"
        self._show(name, "documents", seen, seen, seen, max(documents, seen))
        if searches and searches["p99"] is not None:
            pace = (
                f"at most {searches['rate']:,.0f}/s, searches {searches['p99']:,.0f} of {searches['target_p99']:g} ms"
            )
            self._display.update(self._tasks[name], description=f"{name} ({pace})")

    def detaching(self, done: int, total: int) -> None:
        """Report how many documents an attached field was removed from."""
        self._show(f"detaching from {self._corpus}", "documents", done, done, done, total)

    def _show(self, name: str, unit: str, count: int, since_start: int, completed: int, total: int | None) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._display.add_task(name, unit=unit, count=count, rate=0.0)
        elapsed = self._display.tasks[list(self._tasks).index(name)].elapsed
        rate = since_start / elapsed if elapsed else 0.0
        self._display.update(self._tasks[name], completed=completed, total=total, count=count, rate=rate)
