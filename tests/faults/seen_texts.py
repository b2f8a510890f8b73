"""What a search of texts that are written, filled in and deleted all the while may answer, and what it has to.

A document's text follows from its number and version. Its vectors are those of a version that was there when the last
round of filling began, or of a later one: unless it was written during that round too, which leaves it to the next. So
a document is *quiet* in a round that none of its writes overlaps, and its last quiet round says which versions its
vectors can be of; where only one is left, the search has to find it, with just that score.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from attached_texts import VOCABULARY, WordEncoder, _number, _vector

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.queries.results import SearchResult

WORDS = tuple(f"word{i}" for i in range(60))
GROUPS = ("red", "green", "blue")
QUERIES = tuple(" ".join(np.random.default_rng(seed).choice(WORDS, 3, replace=False)) for seed in range(24))
TOLERANCE = 1e-3
_ROUNDS_KEPT = 40


@lru_cache(maxsize=4_000)
def body(doc: int, version: int) -> dict[str, Any]:
    """What a user writes; the last word is found nowhere else."""
    rng = np.random.default_rng((doc, version))
    text = " ".join([*rng.choice(WORDS, int(rng.integers(3, 7))), f"only{doc}v{version}"])
    return {"text": text, "group": GROUPS[rng.integers(3)], "price": version}


@lru_cache(maxsize=4_000)
def vectors(doc: int, version: int) -> FloatArray:
    return np.stack([_vector(word) for word in body(doc, version)["text"].split()])


@lru_cache(maxsize=4_000)
def terms(doc: int, version: int) -> frozenset[int]:
    return frozenset(_number(word) % len(VOCABULARY) for word in body(doc, version)["text"].split())


@lru_cache
def query_vectors(query: str) -> FloatArray:
    return WordEncoder().encode([query], "query")[0].vectors


def score(query: str, doc: int, version: int) -> float:
    """Exact MaxSim."""
    return float((query_vectors(query) @ vectors(doc, version).T).max(axis=1).sum())


def matches(query: str, doc: int, version: int) -> bool:
    """Whether the first stage finds it: they share a term."""
    return not terms(doc, version).isdisjoint(_number(word) % len(VOCABULARY) for word in query.split())


@dataclass(slots=True)
class Write:
    """``version``: None for a deletion."""

    version: int | None
    sent: float
    acknowledged: float = float("inf")


@dataclass(slots=True)
class Round:
    """``from_``: whatever was acknowledged before it, the round has seen."""

    from_: float
    end: float


@dataclass
class Index:
    """All that was sent to an index, by document, and the rounds that filled it."""

    name: str
    docs: int
    writes: dict[int, list[Write]] = field(default_factory=dict)
    rounds: deque[Round] = field(default_factory=lambda: deque(maxlen=_ROUNDS_KEPT))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.writes = {doc: [Write(None, 0.0, 0.0)] for doc in range(self.docs)}

    def write(self, docs: Sequence[int], version: int | None, send: Callable[[], object]) -> None:
        """Send a write of these documents, which nobody else writes meanwhile."""
        made = Write(version, time.monotonic())
        with self._lock:
            for doc in docs:
                self.writes[doc].append(made)
        send()
        made.acknowledged = time.monotonic()

    def fill(self, run: Callable[[], object]) -> None:
        """A round of filling, which ends with a refresh."""
        begun = time.monotonic()
        with self._lock:
            # A write under way holds back the checkpoint that the round goes up to, for all that came after it.
            under_way = [each[-1].sent for each in self.writes.values() if each[-1].acknowledged == float("inf")]
        run()
        done = Round(min([begun, *under_way]), time.monotonic())
        with self._lock:
            self.rounds.append(done)
            for doc, writes in self.writes.items():
                if (base := _base(writes, self.rounds[0])) is not None:
                    self.writes[doc] = writes[base:]

    def states(self, started: float, ended: float) -> dict[int, set[int | None]]:
        """By document: the versions that a search of that time may have seen, None for no document."""
        with self._lock:
            rounds = [each for each in self.rounds if each.end <= started]
            found = {}
            for doc, writes in self.writes.items():
                bases = (_base(writes, each) for each in reversed(rounds))
                base = next((each for each in bases if each is not None), 0)
                seen = {write.version for write in writes[base:] if write.sent <= ended}
                # A document written anew has no vectors until it is filled in.
                found[doc] = seen | {None} if len(seen) > 1 or not rounds else seen
            return found

    def check(
        self, query: str, group: str | None, result: SearchResult, size: int, started: float, ended: float
    ) -> int:
        """Raise AssertionError where an answer is wrong; how many documents it had to have."""
        states = self.states(started, ended)
        assert len({hit.doc_id for hit in result.hits}) == len(result.hits)
        scores = [hit.score for hit in result.hits]
        assert scores == sorted(scores, reverse=True)
        for hit in result.hits:
            doc = int(hit.doc_id)
            possible = [version for version in states[doc] if version is not None]
            fitting = [
                version
                for version in possible
                if abs(score(query, doc, version) - hit.score) < TOLERANCE and matches(query, doc, version)
            ]
            assert fitting, f"{self.name}: {doc} has {hit.score}, versions {possible}"
            own = {key: hit.source[key] for key in body(doc, 0)}
            assert own in [body(doc, version) for version in possible], f"{self.name}: {own} of {doc}, {possible}"
            assert group is None or group in {body(doc, version)["group"] for version in possible}
        # On a page that was cut off, nothing has taken the place of a hit that was deleted before it was read.
        lowest = -np.inf if size >= self.docs else min(scores, default=np.inf)
        found = {int(hit.doc_id) for hit in result.hits}
        certain = 0
        for doc, seen in states.items():
            if len(seen) == 1 and None not in seen:
                (version,) = seen
                assert version is not None
                right = matches(query, doc, version) and group in (None, body(doc, version)["group"])
                if right and score(query, doc, version) > lowest + TOLERANCE:
                    certain += 1
                    assert doc in found, f"{self.name}: {doc} in version {version} is missing, asked {query!r}"
        assert not any(int(doc_id) in states and len(states[int(doc_id)]) == 1 for doc_id in result.skipped)
        return certain


def _base(writes: Sequence[Write], done: Round) -> int | None:
    """The write that a round has seen last, where it was quiet for the document; else None."""
    if any(write.sent <= done.end and write.acknowledged >= done.from_ for write in writes):
        return None
    before = [number for number, write in enumerate(writes) if write.acknowledged < done.from_]
    return before[-1] if before else None
