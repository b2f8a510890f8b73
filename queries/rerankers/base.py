"""What a reranker is: one request over the candidates, and their scores from its response. No I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery

# Index and _id: behind an alias two indices may hold the same _id.
Key: TypeAlias = tuple[str, str]

# Token vectors asked for at once: OpenSearch builds a response in its heap, several times this size, before it sends
# it, and 16 searches whose 300 candidates carried 490 KB each ended a node with 2 GB.
MAX_RESPONSE_BYTES = 48_000_000


@dataclass(slots=True)
class Reranked:
    """Scores by document, and why some candidates have none; ``fetched_bytes``: of what was read for them."""

    scores: dict[Key, float]
    skipped: dict[str, str] = field(default_factory=dict)
    fetched_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Reranker(ABC):
    """One way to score candidates again: a frozen dataclass whose fields are its parameters.

    ``needs``: the part of an `EncodedQuery` it reads. ``sub_field``: the class of the sub-field it reads (None: one
    that is always there). ``keep``: how many of the best it hands on in a chain; 0: all.
    """

    name: ClassVar[str]
    needs: ClassVar[Literal["vectors", "terms"]]
    sub_field: ClassVar[type[Any] | None] = None

    keep: int = 0

    def __post_init__(self) -> None:
        if self.keep < 0:
            raise InputError(f"keep of rerank {self.name!r} can't be negative, it is {self.keep}")

    def check(self, spec: FieldSpec) -> None:
        """Raise MismatchError where the index lacks what this reranker reads."""
        if self.needs == "vectors":
            spec.need_vectors(f"rerank {self.name!r}", "search with rerank none, or ")
        if self.sub_field is not None:
            spec.need(self.sub_field, f"rerank {self.name!r}")

    @abstractmethod
    def hit_bytes(self, spec: FieldSpec) -> int:
        """About how many bytes of a response one candidate takes."""

    @abstractmethod
    def rider(self, spec: FieldSpec, query: EncodedQuery, window_size: int, page_end: int) -> dict[str, Any] | None:
        """What a lone first stage's request takes along so that `read` can do with its hits, which saves a round trip.

        A rider with ``rescore`` lets OpenSearch score the window, and needs to return the first ``page_end`` hits only.
        None: another request is better, or needed.
        """

    @abstractmethod
    def body(self, spec: FieldSpec, query: EncodedQuery, keys: Sequence[Key]) -> dict[str, Any]:
        """The request that finds the candidates again."""

    @abstractmethod
    def read(self, spec: FieldSpec, query: EncodedQuery, hits: Sequence[dict[str, Any]]) -> Reranked:
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
