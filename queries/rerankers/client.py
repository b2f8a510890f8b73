"""`client`: exact or quantised MaxSim here, over the blobs that the candidates carry as doc values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pybase64

from opensearch_multivector.encoding.codecs import codec_named
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.maxsim import maxsim_blobs
from opensearch_multivector.plugin.fields import VECTORS, FieldSpec
from opensearch_multivector.queries.rerankers.base import MAX_RESPONSE_BYTES, Key, Reranked, find, key_of

# What most text encoders cut documents at.
_TYPICAL_TOKENS = 256
NO_VECTORS = "has no token vectors: index it again (a partial update drops them)"


def blob_of(spec: FieldSpec, hit: dict[str, Any]) -> bytes | None:
    """The codec blob that a hit carries, or None. Base64 that can't be read gives bytes that no codec accepts."""
    values = hit.get("fields", {}).get(spec.sub(VECTORS))
    if not values:
        return None
    encoded: str = values[0]
    try:
        # OpenSearch leaves out base64's padding.
        return pybase64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return b""


def blob_parts(spec: FieldSpec) -> dict[str, Any]:
    """The part of a request's body that makes hits carry their blob."""
    return {"docvalue_fields": [spec.sub(VECTORS)]}


def blob_bytes(spec: FieldSpec) -> int:
    """About how many bytes a blob takes in a response, as base64."""
    return codec_named(spec.codec).payload_size(_TYPICAL_TOKENS, spec.dim) * 4 // 3


class ClientReranker:
    """See the module's text."""

    name = "client"

    def check(self, spec: FieldSpec) -> None:
        """See `Reranker`: every multi-vector field has blobs."""

    def hit_bytes(self, spec: FieldSpec) -> int:
        """See `Reranker`."""
        return blob_bytes(spec)

    def rider(self, spec: FieldSpec, query: FloatArray, window_size: int, page_end: int) -> dict[str, Any] | None:
        """See `Reranker`."""
        return blob_parts(spec) if window_size * blob_bytes(spec) <= MAX_RESPONSE_BYTES else None

    def body(self, spec: FieldSpec, query: FloatArray, keys: Sequence[Key]) -> dict[str, Any]:
        """See `Reranker`."""
        return {**find(keys), "_source": False, **blob_parts(spec)}

    def read(self, spec: FieldSpec, query: FloatArray, hits: Sequence[dict[str, Any]]) -> Reranked:
        """See `Reranker`."""
        skipped: dict[str, str] = {}
        found: list[dict[str, Any]] = []
        blobs: list[bytes] = []
        for hit in hits:
            blob = blob_of(spec, hit)
            if blob is None:
                skipped[hit["_id"]] = NO_VECTORS
            else:
                found.append(hit)
                blobs.append(blob)
        scores, errors = maxsim_blobs(query, blobs)
        for position, error in errors.items():
            skipped[found[position]["_id"]] = error.reason
        return Reranked({key_of(hit): float(scores[i]) for i, hit in enumerate(found) if i not in errors}, skipped)


CLIENT = ClientReranker()
