"""Reranking over blobs that candidates carry as doc values: how they are asked for, read and scored."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import pybase64

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import BlobError
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.rerankers.base import MAX_RESPONSE_BYTES, Key, Reranked, Reranker, find, key_of

NO_VECTORS = "has no token vectors: index it again (a partial update drops them), or the user's role hides them"

# What most text encoders cut documents at.
TYPICAL_TOKENS = 256

Scored: TypeAlias = tuple[FloatArray, dict[int, BlobError]]


def blob_of(spec: FieldSpec, hit: dict[str, Any], sub_field: str) -> bytes | None:
    """The blob that a hit carries, or None. Base64 that can't be read gives bytes that no codec accepts."""
    values = hit.get("fields", {}).get(spec.sub(sub_field))
    if not values:
        return None
    encoded: str = values[0]
    try:
        # OpenSearch leaves out base64's padding.
        return pybase64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return b""


def blob_parts(spec: FieldSpec, sub_field: str) -> dict[str, Any]:
    """The part of a request's body that makes hits carry their blob."""
    return {"docvalue_fields": [spec.sub(sub_field)]}


@dataclass(frozen=True, slots=True)
class BlobReranker(Reranker):
    """A reranker that fetches one blob per candidate and scores them here; ``missing``: said of one without a blob."""

    missing: ClassVar[str] = NO_VECTORS

    @abstractmethod
    def blob_field(self) -> str:
        """Name of the sub-field that holds the blobs."""

    @abstractmethod
    def blob_bytes(self, spec: FieldSpec) -> int:
        """About how large one blob is."""

    @abstractmethod
    def score_blobs(self, spec: FieldSpec, query: EncodedQuery, blobs: Sequence[bytes]) -> Scored:
        """Scores, (len(blobs),) float32, NaN where a blob can't be read, and the reasons by position."""

    def hit_bytes(self, spec: FieldSpec) -> int:
        """See `Reranker`: base64 makes four bytes of three."""
        return self.blob_bytes(spec) * 4 // 3

    def rider(self, spec: FieldSpec, query: EncodedQuery, window_size: int, page_end: int) -> dict[str, Any] | None:
        """See `Reranker`."""
        fits = window_size * self.hit_bytes(spec) <= MAX_RESPONSE_BYTES
        return blob_parts(spec, self.blob_field()) if fits else None

    def body(self, spec: FieldSpec, query: EncodedQuery, keys: Sequence[Key]) -> dict[str, Any]:
        """See `Reranker`."""
        return {**find(keys), "_source": False, **blob_parts(spec, self.blob_field())}

    def read(self, spec: FieldSpec, query: EncodedQuery, hits: Sequence[dict[str, Any]]) -> Reranked:
        """See `Reranker`."""
        skipped: dict[str, str] = {}
        found: list[dict[str, Any]] = []
        blobs: list[bytes] = []
        for hit in hits:
            blob = blob_of(spec, hit, self.blob_field())
            if blob is None:
                skipped[hit["_id"]] = self.missing
            else:
                found.append(hit)
                blobs.append(blob)
        scores, errors = self.score_blobs(spec, query, blobs)
        for position, error in errors.items():
            skipped[found[position]["_id"]] = error.reason
        ranked = {key_of(hit): float(scores[i]) for i, hit in enumerate(found) if i not in errors}
        return Reranked(ranked, skipped, sum(map(len, blobs)))
