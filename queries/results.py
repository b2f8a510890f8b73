"""What a search gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TokenMatch:
    """One query token and the document token it matched best.

    Spans are character ranges [start, end) in the query and in the document's text, None where the encoder or the
    reader gave no offsets and for special tokens. ``similarity`` is what the pair adds to the MaxSim score.
    """

    query_token: str
    document_token: str
    similarity: float
    query_span: tuple[int, int] | None
    document_span: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Hit:
    """A found document. ``score`` is the rerank's, or the first stage's where nothing was reranked.

    ``first_stage_score`` is None where OpenSearch itself reranked in the first stage's request: it gives one score.
    ``stale``: the score may be that of an earlier text. Of a sidecar's: the document was written since. Of a field
    attached in place: the texts in ``source`` are not those that were encoded; unknown, and so False, where ``source``
    was asked for without one of them.
    """

    doc_id: str
    score: float
    index: str
    first_stage_score: float | None
    source: dict[str, Any] = field(default_factory=dict)
    matches: tuple[TokenMatch, ...] | None = None
    stale: bool = False

    @property
    def docid(self) -> str:
        """``doc_id``, as Pyserini calls it."""
        return self.doc_id


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The page of hits and how it came about.

    ``total``: matches of the first stage (of the largest one in a fusion), capped by the engine at 10,000; of one that
    a sidecar answers also those that are gone or hidden in the user's index.
    ``candidates``: how many documents the first stage handed on. ``skipped``: reason by doc_id for candidates whose
    stored vectors could not be read: they are left out of the hits. ``timings``: milliseconds by stage (``encode``,
    ``first_stage``, ``rerank_fetch``, ``rerank``, ``fetch``, ``total``; ``first_stage_took`` is the engine's own
    time, ``wait`` that for its turn). In `search_many` requests are shared, so there each query carries the engine's
    time instead of the round trip's. ``degraded``: what is missing from the result and why, one sentence each; empty:
    it is whole, as it always is without ``degrade=True``. ``hedged``: how many requests were sent a second time, since
    the first took long. ``rerank``: names of the rerankers that were to rank it, also where that was left out.
    ``fetched_bytes``: of stored vectors that were fetched to be scored here.
    """

    hits: list[Hit]
    total: int
    candidates: int
    skipped: dict[str, str]
    timings: dict[str, float]
    degraded: tuple[str, ...] = ()
    hedged: int = 0
    rerank: tuple[str, ...] = ()
    fetched_bytes: int = 0

    @property
    def stale(self) -> int:
        """How many hits of the page are stale."""
        return sum(hit.stale for hit in self.hits)
