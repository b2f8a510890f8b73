"""`client`: exact or quantised MaxSim here, over the blobs that the candidates carry as doc values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from opensearch_multivector.encoding.codecs import codec_named
from opensearch_multivector.encoding.maxsim import maxsim_blobs
from opensearch_multivector.plugin.fields import VECTORS, FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.rerankers.blobs import BlobReranker, Scored

# What most text encoders cut documents at.
_TYPICAL_TOKENS = 256


def vectors_bytes(spec: FieldSpec) -> int:
    """About how many bytes a document's stored token vectors take."""
    return codec_named(spec.codec, spec.codebook).payload_size(_TYPICAL_TOKENS, spec.dim)


@dataclass(frozen=True, slots=True)
class Client(BlobReranker):
    """See the module's text."""

    name: ClassVar[str] = "client"
    needs: ClassVar[Literal["vectors", "terms"]] = "vectors"

    def blob_field(self) -> str:
        """See `BlobReranker`."""
        return VECTORS

    def blob_bytes(self, spec: FieldSpec) -> int:
        """See `BlobReranker`."""
        return vectors_bytes(spec)

    def score(self, spec: FieldSpec, query: EncodedQuery, blobs: Sequence[bytes]) -> Scored:
        """See `BlobReranker`."""
        assert query.vectors is not None
        return maxsim_blobs(query.vectors, blobs, codebook=spec.codebook)
