"""What became of a row, and where it is kept: ``OUT/rows/MATRIX.ROW/result.json``, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.reproduce.matrix import Matrix, Row

FORMAT_VERSION = 1
GREEN, OFF, NOT_RUN, FAILED = "green", "off", "not run", "failed"


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure of a row: ours beside the expected one."""

    measure: str
    expected: float
    ours: float
    tolerance: float

    @property
    def difference(self) -> float:
        """Ours minus the expected one."""
        return self.ours - self.expected

    @property
    def shown(self) -> str:
        """The difference with its sign; one that rounds to nothing has none."""
        return f"{round(self.difference, 4) + 0.0:+.4f}".replace("+0.0000", "0.0000")

    @property
    def within(self) -> bool:
        """Whether the tolerance covers the difference; a rounding error of the subtraction does not count."""
        return abs(self.difference) <= self.tolerance + 1e-9


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row and what came of it. ``row``: as the matrix has it, in JSON's types; ``reason``: why it has no figures.

    ``header``: that of its run (`evaluation.provenance`), None without figures; ``run``: the run's place in the out
    folder; ``seconds``: of indexing and searching, in the call that finished it; ``kept``: it was finished before;
    ``exit_code``: of the error that it ended with, 0 without one.
    """

    matrix: str
    title: str
    row: Mapping[str, Any]
    reason: str = ""
    header: Mapping[str, Any] | None = None
    run: str = ""
    seconds: float = 0.0
    kept: bool = False
    exit_code: int = 0

    @property
    def name(self) -> str:
        """The row's."""
        return str(self.row["name"])

    @property
    def figures(self) -> list[Figure]:
        """One for each expected figure; none where the row was not run."""
        if self.header is None:
            return []
        measures, tolerance = self.header["results"]["measures"], self.row["tolerance"]
        return [Figure(name, value, measures[name], tolerance) for name, value in self.row["expected"].items()]

    @property
    def status(self) -> str:
        """One of `GREEN`, `OFF`, `NOT_RUN`, `FAILED`."""
        if self.header is None:
            return FAILED if self.exit_code else NOT_RUN
        return GREEN if all(figure.within for figure in self.figures) else OFF

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        latency = self.header["results"]["latency_ms"].get("total") if self.header else None
        return {
            "matrix": self.matrix,
            "row": self.name,
            "status": self.status,
            "reason": self.reason or None,
            "figures": [
                asdict(figure) | {"difference": figure.difference, "within": figure.within} for figure in self.figures
            ],
            "source": self.row["source"],
            "latency_ms": latency,
            "index": self.header["index"]["name"] if self.header else None,
            "index_bytes": self.header["index"]["store_bytes"] if self.header else None,
            "run": self.run or None,
            "seconds": round(self.seconds, 1),
            "kept": self.kept,
        }


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 where all rows that ran are green; 1 where a figure is off, else that of the first error."""
    if any(outcome.status == OFF for outcome in outcomes):
        return 1
    return next((outcome.exit_code for outcome in outcomes if outcome.exit_code), 0)


@dataclass(frozen=True, slots=True)
class Stored:
    """A finished row with what it depends on: ``spec`` and ``data`` are digests, ``index`` the index's state."""

    outcome: Outcome
    spec: str
    data: str
    index: Mapping[str, Any] | None


class Results:
    """The finished rows of an out folder."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def folder(self, matrix: Matrix, row: Row) -> Path:
        """Where a row's result and run lie."""
        return self.out / "rows" / _file_name(f"{matrix.name}.{row.name}")

    def dead_letters(self, collection: str, digest: str) -> Path:
        """Where the documents go that an index of this digest rejects. Raises InputError where there can be no such."""
        folder = self.out / "rejected"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: can't be made ({error.strerror}).") from None
        return folder / f"{_file_name(collection)}-{digest[:8]}.jsonl"

    def of(self, matrix: Matrix, row: Row) -> Stored | None:
        """A row's result; None where it was not finished. Raises InputError."""
        path = self.folder(matrix, row) / "result.json"
        return _read(path) if path.is_file() else None

    def all(self) -> list[Stored]:
        """Every row that was ever finished here, by matrix and name. Raises InputError."""
        found = [_read(path) for path in self.out.glob("rows/*/result.json")]
        return sorted(found, key=lambda stored: (stored.outcome.matrix, stored.outcome.name))

    def keep(self, matrix: Matrix, row: Row, stored: Stored) -> None:
        """Write a row's result. Raises InputError where that can't be done."""
        outcome = stored.outcome
        content = {
            "format_version": FORMAT_VERSION,
            "matrix": outcome.matrix,
            "title": outcome.title,
            "row": outcome.row,
            "spec": stored.spec,
            "data": stored.data,
            "index": stored.index,
            "run": outcome.run,
            "seconds": outcome.seconds,
            "header": outcome.header,
        }
        write_whole(self.folder(matrix, row) / "result.json", json.dumps(content, indent=1) + "\n")


def _file_name(name: str) -> str:
    """Names that a file name can't hold are told apart by a hash."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:100]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or as it was before, however the process ends. Raises InputError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror}).") from None


def _read(path: Path) -> Stored:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read ({error}); remove its folder to run the row again.") from None
    if not isinstance(content, dict) or content.get("format_version") != FORMAT_VERSION:
        raise InputError(f"{path}: no result of a row in format version {FORMAT_VERSION}; move it out of the way.")
    try:
        outcome = Outcome(
            matrix=content["matrix"],
            title=content["title"],
            row=content["row"],
            header=content["header"],
            run=content["run"],
            seconds=content["seconds"],
            kept=True,
        )
        outcome.as_json()
        return Stored(outcome, content["spec"], content["data"], content["index"])
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: is not the whole result of a row; move it out of the way.") from None
