"""What a reranker is: one request over the candidates, and their scores from its response. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.plugin.fields import FieldSpec

# Index and _id: behind an alias two indices may hold the same _id.
Key: TypeAlias = tuple[str, str]


@dataclass(slots=True)
class Reranked:
    """Scores by document, and why some candidates have none."""

    scores: dict[Key, float]
    skipped: dict[str, str] = field(default_factory=dict)


class Reranker(Protocol):
    """``reads_first_stage``: a lone first stage may carry `parts` in its own request, which saves a round trip."""

    name: str
    reads_first_stage: bool

    def hit_bytes(self, spec: FieldSpec) -> int:
        """About how many bytes of a response one candidate takes."""

    def check(self, spec: FieldSpec) -> None:
        """Raise MismatchError where the index lacks what this reranker reads."""

    def parts(self, spec: FieldSpec) -> dict[str, Any]:
        """What to add to a request's body so that its hits carry what `read` wants."""

    def body(self, spec: FieldSpec, query: FloatArray, keys: Sequence[Key]) -> dict[str, Any]:
        """The request that finds the candidates again, with `parts`. ``query``: (n_tokens, dim) float32."""

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
