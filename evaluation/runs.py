"""Runs in TREC format: one line per retrieved document, ``qid Q0 docid rank score tag``.

trec_eval ignores the rank column: it sorts by score held as a 32-bit float, ties by document id from last to first.
Rankings here are therefore given scores that fall strictly as 32-bit floats, so that every tool sees the same order.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.beir import numbered_lines

Ranking = list[tuple[str, float]]
BLANK = "␣"  # stands for a blank inside an id: the format's columns are split at white space


def strict_ranking(hits: Iterable[tuple[str, float]]) -> Ranking:
    """The ranking trec_eval will see: neighbours of equal score by document id from last to first, scores falling.

    ``hits``: (document id, score) in rank order. The order between different scores is kept even where a score rises
    (a rerank's head may be on another scale than its tail). A score is lowered, by one step of a 32-bit float, only
    where it would tie with or pass its predecessor. Raises InputError on a score that is not a finite 32-bit float or a
    document that appears twice.
    """
    scored = [(doc_id, np.float32(score)) for doc_id, score in hits]
    if len({doc_id for doc_id, _ in scored}) < len(scored):
        raise InputError("a ranking holds the same document twice.")
    ranking: Ranking = []
    ceiling = np.float32(np.inf)
    for score, tied in groupby(scored, key=lambda hit: hit[1]):
        if not np.isfinite(score):
            raise InputError("a score is not a finite 32-bit number.")
        for doc_id, _ in sorted(tied, reverse=True):
            lowered = score if score < ceiling else np.nextafter(ceiling, np.float32(-np.inf))
            ranking.append((doc_id, float(lowered)))
            ceiling = lowered
    return ranking


class RunWriter:
    """Write a run topic by topic into a file that appears under its name only when complete.

    A context manager: leaving it by an exception leaves whatever file was there before. Blanks inside ids are written
    as ``␣`` and read back as blanks by `read_run`.
    """

    def __init__(self, path: Path, tag: str = "osmv") -> None:
        if not tag or any(character.isspace() for character in tag):
            raise InputError(f"the run tag {tag!r} is empty or has white space in it.")
        self.path, self.tag = path, tag
        self._unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._unfinished.open("w", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{self.path}: can't be written ({error.strerror}).") from None
        return self

    def write(self, query_id: str, ranking: Sequence[tuple[str, float]]) -> None:
        """Append a topic's ranking, as `strict_ranking` gives it. Raises InputError on an id that can't be written."""
        if self._file is None:
            raise RuntimeError("RunWriter is used outside its with block")
        query = _escaped(query_id)
        for rank, (doc_id, score) in enumerate(ranking, start=1):
            self._file.write(f"{query} Q0 {_escaped(doc_id)} {rank} {score:.9g} {self.tag}\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        self._file.close()
        if kind is None:
            self._unfinished.replace(self.path)
        else:
            self._unfinished.unlink(missing_ok=True)
        self._file = None


def read_run(path: Path) -> dict[str, Ranking]:
    """Rankings by query id, in trec_eval's order whatever the order of the lines or the ranks in them say.

    Raises InputError with file and line.
    """
    run: dict[str, dict[str, float]] = {}
    for number, line in numbered_lines(path):
        columns = line.split()
        if len(columns) != 6:
            raise InputError(f"{path}:{number}: {len(columns)} columns; a run has six, `qid Q0 docid rank score tag`.")
        query_id, doc_id = columns[0].replace(BLANK, " "), columns[2].replace(BLANK, " ")
        try:
            score = float(columns[4])
        except ValueError:
            score = math.nan
        if not math.isfinite(score):
            raise InputError(f"{path}:{number}: the score {columns[4]!r} is not a finite number.")
        of_topic = run.setdefault(query_id, {})
        if doc_id in of_topic:
            raise InputError(f"{path}:{number}: document {doc_id!r} appears a second time for topic {query_id!r}.")
        of_topic[doc_id] = score
    return {query_id: list(_as_trec_eval_sorts(scores)) for query_id, scores in run.items()}


def _as_trec_eval_sorts(scores: dict[str, float]) -> Iterator[tuple[str, float]]:
    for doc_id in sorted(scores, key=lambda doc_id: (np.float32(scores[doc_id]), doc_id), reverse=True):
        yield doc_id, scores[doc_id]


def _escaped(identifier: str) -> str:
    escaped = identifier.replace(" ", BLANK)
    if not identifier or BLANK in identifier or any(character.isspace() for character in escaped):
        raise InputError(f"the id {identifier!r} can't stand in a TREC run: it is empty or holds {BLANK} or a break.")
    return escaped
