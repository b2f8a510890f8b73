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

    def check(self, spec: FieldSpec) -> None:
        """Raise MismatchError where the index lacks what this reranker reads."""

    def parts(self, spec: FieldSpec) -> dict[str, Any]:
        """What to add to a request's body so that its hits carry what `read` wants."""

    def body(self, spec: FieldSpec, query: FloatArray, doc_ids: list[str]) -> dict[str, Any]:
        """The request that finds the candidates again, with `parts`. ``query``: (n_tokens, dim) float32."""

    def read(self, spec: FieldSpec, query: FloatArray, hits: Sequence[dict[str, Any]]) -> Reranked:
        """Scores from the hits of either request."""


def key_of(hit: dict[str, Any]) -> Key:
    """Index and `_id` of a hit."""
    return hit["_index"], hit["_id"]


def ids_query(doc_ids: list[str]) -> dict[str, Any]:
    """The clause that finds exactly these documents."""
    return {"ids": {"values": doc_ids}}
