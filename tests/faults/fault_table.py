"""The table of what was done to the nodes and what came of it, for the terminal and for docs/faults.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# What is done, and what must hold.
ROWS = {
    "kills": ("workers killed (-9) at random points and started again", "each document covered once, none lost"),
    "writers": ("users write, update, delete 50 documents/s meanwhile", "no write lost or reverted, nothing stale"),
    "nodes": ("nodes killed, during backfill and searches", "no document lost, failed requests few and counted"),
    "proxy": ("latency, resets, cut and garbled answers, 429, 503", "clear error or success, never a wrong result"),
    "blocks": ("watermark, read-only, mapping, fields, codebook", "clear word, clean stop, resumes"),
    "hostile": ("hostile queries, filters, ids, blobs, configuration", "no traceback, no hang, no widened access"),
    "mixed": ("everything at once, each answer checked", "no wrong answer, memory flat"),
}
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
HEADER = "| row | fault | must hold | done | figures | seconds | result | on |"
PROPERTY = "fault"


@dataclass
class FaultRow:
    """What a test adds to its row: ``counts`` are summed over its tests, of ``figures`` the greatest is shown."""

    row: str
    counts: Counter[str] = field(default_factory=Counter)
    figures: dict[str, float] = field(default_factory=dict)

    def figure(self, name: str, value: float) -> None:
        """Note a figure, its unit in its name."""
        self.figures[name] = max(value, self.figures.get(name, value))

    def plain(self) -> dict[str, Any]:
        """As it goes from the process of the test to that of the table."""
        counts = {name: int(count) for name, count in self.counts.items()}
        return {"row": self.row, "counts": counts, "figures": {each: float(it) for each, it in self.figures.items()}}


@dataclass
class Line:
    """A row as it came out."""

    total: FaultRow
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def result(self) -> str:
        """Skipped tests are told of, since they have shown nothing."""
        told = [f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()) if outcome != "passed"]
        passed = self.outcomes["passed"] and not self.outcomes["failed"]
        return ", ".join(["pass" if passed else "**FAIL**" if self.outcomes["failed"] else "not run", *told])

    def cells(self, day: str) -> list[str]:
        """As they stand in the table."""
        row = self.total.row
        done = [
            f"{count:,} {name}"
            for name, count in (Counter(tests=sum(self.outcomes.values())) + self.total.counts).items()
        ]
        figures = [f"{name} {value:,.4g}" for name, value in self.total.figures.items()]
        return [row, *ROWS[row], ", ".join(done), ", ".join(figures), f"{self.seconds:.0f}", self.result, day]


def lines_of(reports: Iterable[Any]) -> list[Line]:
    """Pytest's reports, by row."""
    lines: dict[str, Line] = {}
    ended: dict[str, tuple[FaultRow, set[str]]] = {}
    for report in reports:
        said = dict(report.user_properties).get(PROPERTY)
        if said is None:
            continue
        row = said["row"]
        lines.setdefault(row, Line(FaultRow(row))).seconds += report.duration
        noted, outcomes = ended.setdefault(report.nodeid, (FaultRow(row), set()))
        outcomes.add(report.outcome)
        # Of a test's three reports, in whatever order, the last one says most.
        noted.counts |= Counter(said["counts"])
        for name, value in said["figures"].items():
            noted.figure(name, value)
    for noted, outcomes in ended.values():
        line = lines[noted.row]
        # A test's teardown passes also where the test did not.
        line.outcomes[next(each for each in ("failed", "skipped", "passed") if each in outcomes)] += 1
        line.total.counts += noted.counts
        for name, value in noted.figures.items():
            line.total.figure(name, value)
    return [lines[row] for row in ROWS if row in lines]


def written_into(page: str, lines: Iterable[Line], day: str, heading: str) -> str:
    """The page with these rows put in; rows that did not run keep what an earlier run said."""
    before, begin, rest = page.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no table between {BEGIN} and {END}")
    rows = {found[1]: found[0] for found in re.finditer(r"^\| (\w+) \|.*$", old, re.MULTILINE) if found[1] in ROWS}
    rows |= {line.total.row: _line(line.cells(day)) for line in lines}
    table = [heading, "", HEADER, "|---" * HEADER.count(" | ") + "|---|", *(rows[row] for row in ROWS if row in rows)]
    return "\n".join([before + BEGIN, *table, END + after])


def for_terminal(lines: Iterable[Line]) -> list[str]:
    """What is printed at the end of a run."""
    shown = []
    for line in lines:
        row, fault, _, done, figures, seconds, result, _ = line.cells("")
        shown.append(
            f"{row:<8} {result.replace('*', ''):<8} {seconds:>5} s  {fault}: {done}" + f"; {figures}" * bool(figures)
        )
    return shown


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def wanted_rows(names: str) -> frozenset[str]:
    """The rows named, by commas. Raises ValueError for one that there is not."""
    wanted = frozenset(filter(None, names.split(",")))
    if unknown := wanted - ROWS.keys():
        raise ValueError(f"no row {', '.join(unknown)} in the table of faults: there are {', '.join(ROWS)}")
    return wanted
