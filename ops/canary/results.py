"""What a check of a canary found: what `osmv canary check --json` prints, the metrics export and the console shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from opensearch_multivector.plugin.stored_types import read_back

# In place of a rerank: k-NN against the exact nearest neighbours.
GRAPHS = "hnsw"
NEIGHBOURS = 100
_WHAT = "the results of a canary's check"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way to search, over all queries of the canary.

    ``first_stage``, ``rerank``: as `Searcher.search` takes them; rerank "none": the first stage's own ranking; "hnsw":
    k-NN is held against the exact nearest neighbours in its own vectors instead, so that only the graphs' loss shows.
    ``recall``: mean share of the exact top ``k`` among the first stage's ``window_size`` candidates; ``overlap`` and
    ``rbo``: how far the final page of k hits agrees with the exact one (None: not known from a sample).
    ``recall_oldest``, ``recall_newest``: the recall of the quarter of the documents that was written first, and last
    (None: no exact answer is among them); `dense` and other k-NN stages may lose either to the order of insertion.
    ``baseline_recall``, ``baseline_overlap``: of the check that this one is held against; None: this is the first.
    ``alarms``: why it fails, a sentence each; none: it does not. ``worst``: ids of the queries with the least recall.
    """

    first_stage: str
    rerank: str
    recall: float
    overlap: float
    rbo: float | None
    recall_oldest: float | None
    recall_newest: float | None
    baseline_recall: float | None = None
    baseline_overlap: float | None = None
    alarms: tuple[str, ...] = ()
    worst: tuple[str, ...] = ()

    @property
    def way(self) -> str:
        """``FIRST_STAGE/RERANK``."""
        return f"{self.first_stage}/{self.rerank}"

    def depth(self, k: int, window_size: int) -> int:
        """How many exact answers the recall is of: ``k``, or as many neighbours as there are candidates, up to 100."""
        return min(window_size, NEIGHBOURS) if self.rerank == GRAPHS else k


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a canary; ``error``: why it could not be made (a sentence), in which case there are no outcomes.

    ``at``: seconds since 1970; ``seconds``: how long it took. ``documents``: in the index when the exact answers were
    made, ``share`` of which were scored (1: all); ``written_since``: written or changed since, as far as they are
    there. Of the exact answers ``deleted`` and ``changed`` ones are left out; ``lost`` ones, whose documents are there
    and whose vectors are not, or not readable, stay in and are missed. ``segments``: of the index, as far as it may be
    asked.
    """

    canary: str
    index: str
    field: str
    at: float
    seconds: float = 0.0
    k: int = 10
    window_size: int = 100
    queries: int = 0
    documents: int = 0
    share: float = 1.0
    written_since: int = 0
    deleted: int = 0
    changed: int = 0
    lost: int = 0
    segments: int | None = None
    outcomes: tuple[Outcome, ...] = ()
    error: str | None = None

    @property
    def alarms(self) -> tuple[str, ...]:
        """Why it fails, a sentence each; none: all is well."""
        found = tuple(f"{outcome.way}: {alarm}" for outcome in self.outcomes for alarm in outcome.alarms)
        return found if self.error is None else (self.error, *found)

    @property
    def outdated(self) -> float:
        """Share of the documents that were written since the exact answers were made: at most 1."""
        return min(1.0, self.written_since / max(self.documents, 1))

    def to_dict(self) -> dict[str, Any]:
        """As stored, and as printed by ``--json``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Check:
        """Inverse of `to_dict`. Raises MismatchError on what is none."""

        def build() -> Check:
            outcomes = tuple(
                Outcome(**{**each, "alarms": tuple(each["alarms"]), "worst": tuple(each["worst"])})
                for each in stored["outcomes"]
            )
            return cls(**{**stored, "outcomes": outcomes})

        return read_back(build, _WHAT)


@dataclass(frozen=True, slots=True)
class Point:
    """What is kept of each check for the course of time: recalls by way (all, oldest, newest), and the segments."""

    at: float
    documents: int
    segments: int | None
    recall: Mapping[str, tuple[float, float | None, float | None]]

    @classmethod
    def of(cls, check: Check) -> Point:
        """The point of a check."""
        recall = {each.way: (each.recall, each.recall_oldest, each.recall_newest) for each in check.outcomes}
        return cls(check.at, check.documents + check.written_since, check.segments, recall)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Point:
        """Inverse of `asdict`. Raises MismatchError on what is none."""
        return read_back(
            lambda: cls(**{**stored, "recall": {way: tuple(each) for way, each in stored["recall"].items()}}), _WHAT
        )
