"""What a reranker is: one request over the candidates, and their scores from its response. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.plugin.fields import FieldSpec

# Index and _id: behind an alias two indices may hold the same _id.
Key: TypeAlias = tuple[str, str]

# Token vectors asked for at once: OpenSearch builds a response in its heap, several times this size, before it sends
# it, and 16 searches whose 300 candidates carried 490 KB each ended a node with 2 GB.
MAX_RESPONSE_BYTES = 48_000_000


@dataclass(slots=True)
class Reranked:
    """Scores by document, and why some candidates have none."""

    scores: dict[Key, float]
    skipped: dict[str, str] = field(default_factory=dict)


class Reranker(Protocol):
    """One way to score candidates again."""

    name: str

    def hit_bytes(self, spec: FieldSpec) -> int:
        """About how many bytes of a response one candidate takes."""

    def check(self, spec: FieldSpec) -> None:
        """Raise MismatchError where the index lacks what this reranker reads."""

    def rider(self, spec: FieldSpec, query: FloatArray, window_size: int, page_end: int) -> dict[str, Any] | None:
        """What a lone first stage's request takes along so that `read` can do with its hits, which saves a round trip.

        A rider with ``rescore`` lets OpenSearch score the window, and needs to return the first ``page_end`` hits only.
        None: another request is better, or needed.
        """

    def body(self, spec: FieldSpec, query: FloatArray, keys: Sequence[Key]) -> dict[str, Any]:
        """The request that finds the candidates again. ``query``: (n_tokens, dim) float32."""

    def read(self, spec: FieldSpec, query: FloatArray, hits: Sequence[dict[str, Any]]) -> Reranked:
        """Scores from the hits of either request."""


def key_of(hit: dict[str, Any]) -> Key:
    """Index and `_id` of a hit."""
    return hit["_index"], hit["_id"]


def find(keys: Sequence[Key]) -> dict[str, Any]:
    """``query`` and ``size`` of a request that finds these documents.

    Behind an alias another of the named indices may hold one of the ids as well: it is found, too, and has its place.
    """
    indices = sorted({index for index, _ in keys})
    filters = [{"ids": {"values": [doc_id for _, doc_id in keys]}}, {"terms": {"_index": indices}}]
    return {"query": {"bool": {"filter": filters}}, "size": len(keys) * len(indices)}
