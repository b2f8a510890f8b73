"""Runs in and out, one line per retrieved document: TREC's ``qid Q0 docid rank score tag``, or MS MARCO's
``qid<TAB>docid<TAB>rank``; gzipped where the name ends in ``.gz``.

trec_eval ignores the rank column: it sorts by score held as a 32-bit float, ties by document id from last to first.
Rankings here are therefore given scores that fall strictly as 32-bit floats, so that every tool sees the same order.
They are written with nine significant digits, which give a 32-bit float back exactly; Pyserini's six decimals would
make neighbours level that differ by less (RRF's shares from rank 940 on, scores lowered by one step).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from gzip import GzipFile
from io import TextIOWrapper
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.collection.beir import numbered_lines

Ranking = list[tuple[str, float]]
BLANK = "␣"  # stands for a blank inside an id: columns are split at white space
# The formats, and what a run's name ends in by custom.
RUN_FORMATS = {"trec": ".trec", "msmarco": ".tsv"}


def strict_ranking(hits: Iterable[tuple[str, float]], *, as_given: bool = False) -> Ranking:
    """The ranking trec_eval will see: neighbours of equal score by document id from last to first, scores falling.

    ``hits``: (document id, score) in rank order. The order between different scores is kept even where a score rises
    (a rerank's head may be on another scale than its tail), and ``as_given`` that of equal ones, too. A score is
    lowered, by one step of a 32-bit float, only where it would tie with or pass its predecessor. Raises InputError on a
    score that is not a finite 32-bit float or a document that appears twice.
    """
    scored = [(doc_id, np.float32(score)) for doc_id, score in hits]
    if len({doc_id for doc_id, _ in scored}) < len(scored):
        raise InputError("a ranking holds the same document twice.")
    ranking: Ranking = []
    ceiling = np.float32(np.inf)
    for score, tied in groupby(scored, key=lambda hit: hit[1]):
        if not np.isfinite(score):
            raise InputError("a score is not a finite 32-bit number.")
        for doc_id, _ in tied if as_given else sorted(tied, reverse=True):
            lowered = score if score < ceiling else np.nextafter(ceiling, np.float32(-np.inf))
            ranking.append((doc_id, float(lowered)))
            ceiling = lowered
    return ranking


class RunWriter:
    """Write a run topic by topic into a file that appears under its name only when complete.

    A context manager: leaving it by an exception leaves whatever file was there before. ``run_format`` is a name of
    `RUN_FORMATS`. Blanks inside ids are written as ``␣`` and read back as blanks by `read_run`. The same run gives the
    same bytes, also gzipped.
    """

    def __init__(self, path: Path, tag: str = "osmv", run_format: str = "trec") -> None:
        if not tag or any(character.isspace() for character in tag):
            raise InputError(f"the run tag {tag!r} is empty or has white space in it.")
        check_run_format(run_format)
        self.path, self.tag, self.run_format = path, tag, run_format
        self._unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        self._file: IO[str] | None = None
        self._open_files = ExitStack()

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._open()
        except OSError as error:
            raise InputError(f"{self.path}: can't be written ({error.strerror}).") from None
        return self

    def _open(self) -> IO[str]:
        file = self._open_files.enter_context(self._unfinished.open("wb"))
        if self.path.suffix != ".gz":
            return self._open_files.enter_context(TextIOWrapper(file, encoding="utf-8"))
        # Neither name nor time in the gzip header.
        packed = self._open_files.enter_context(GzipFile(filename="", mode="wb", fileobj=file, mtime=0))
        return self._open_files.enter_context(TextIOWrapper(packed, encoding="utf-8"))

    def write(self, query_id: str, ranking: Sequence[tuple[str, float]]) -> None:
        """Append a topic's ranking, as `strict_ranking` gives it. Raises InputError on an id that can't be written."""
        if self._file is None:
            raise RuntimeError("RunWriter is used outside its with block")
        query = _escaped(query_id)
        for rank, (doc_id, score) in enumerate(ranking, start=1):
            if self.run_format == "trec":
                self._file.write(f"{query} Q0 {_escaped(doc_id)} {rank} {score:.9g} {self.tag}\n")
            else:
                self._file.write(f"{query}\t{_escaped(doc_id)}\t{rank}\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        self._open_files.close()
        if kind is None:
            self._unfinished.replace(self.path)
        else:
            self._unfinished.unlink(missing_ok=True)
        self._file = None


def check_run_format(name: str) -> None:
    """Raises InputError on what is no name of `RUN_FORMATS`."""
    if name not in RUN_FORMATS:
        raise InputError(f"{name!r} is no run format; there are {' and '.join(RUN_FORMATS)}.")


def read_run(path: Path, run_format: str | None = None) -> dict[str, Ranking]:
    """Rankings by query id, in trec_eval's order whatever the order of the lines or the ranks in them say.

    ``run_format``: a name of `RUN_FORMATS`; None tells it by the first line's columns. A line of MS MARCO's format gets
    the score 1/rank, as in Pyserini's conversion. Raises InputError with file and line.
    """
    if run_format is not None:
        check_run_format(run_format)
    run: dict[str, dict[str, float]] = {}
    ranks: dict[str, set[float]] = {}
    for number, line in numbered_lines(path):
        columns = line.split()
        if run_format is None:
            run_format = "msmarco" if len(columns) == 3 else "trec"
        try:
            if run_format == "trec":
                query_id, doc_id, score = _trec_line(columns)
            else:
                query_id, doc_id, score = _msmarco_line(columns)
                seen = ranks.setdefault(query_id, set())
                if score in seen:
                    raise InputError(f"rank {columns[2]} appears a second time for topic {query_id!r}.")
                seen.add(score)
        except InputError as error:
            raise InputError(f"{path}:{number}: {error}") from None
        of_topic = run.setdefault(query_id, {})
        if doc_id in of_topic:
            raise InputError(f"{path}:{number}: document {doc_id!r} appears a second time for topic {query_id!r}.")
        of_topic[doc_id] = score
    return {query_id: list(_as_trec_eval_sorts(scores)) for query_id, scores in run.items()}


def _trec_line(columns: list[str]) -> tuple[str, str, float]:
    if len(columns) != 6:
        raise InputError(
            f"{len(columns)} columns; a TREC run has six, `qid Q0 docid rank score tag` (one of MS MARCO three)."
        )
    try:
        score = float(columns[4])
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise InputError(f"the score {columns[4]!r} is not a finite number.")
    return _unescaped(columns[0]), _unescaped(columns[2]), score


def _msmarco_line(columns: list[str]) -> tuple[str, str, float]:
    if len(columns) != 3:
        raise InputError(f"{len(columns)} columns; a run of MS MARCO has three, `qid docid rank` (a TREC run six).")
    if not columns[2].isdecimal() or int(columns[2]) < 1:
        raise InputError(f"the rank {columns[2]!r} is not a whole number from 1.")
    return _unescaped(columns[0]), _unescaped(columns[1]), 1 / int(columns[2])


def _as_trec_eval_sorts(scores: dict[str, float]) -> Iterator[tuple[str, float]]:
    for doc_id in sorted(scores, key=lambda doc_id: (np.float32(scores[doc_id]), doc_id), reverse=True):
        yield doc_id, scores[doc_id]


def _escaped(identifier: str) -> str:
    escaped = identifier.replace(" ", BLANK)
    if not identifier or BLANK in identifier or any(character.isspace() for character in escaped):
        raise InputError(f"the id {identifier!r} can't stand in a run: it is empty or holds {BLANK} or a break.")
    return escaped


def _unescaped(identifier: str) -> str:
    return identifier.replace(BLANK, " ")
