"""`bit`: MaxSim estimated from `F.bits`, of which 1,000 are as many bytes as 130 of int8: ``bit:keep=100>client``.

What the estimate is off by, and what the chain then keeps: `encoding.codecs.bit`, docs/codecs.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from opensearch_multivector.encoding.codecs.bit import BIT
from opensearch_multivector.encoding.maxsim import maxsim_blobs
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.rerankers.blobs import TYPICAL_TOKENS, BlobReranker, Scored


@dataclass(frozen=True, slots=True)
class Bit(BlobReranker):
    """See the module's text."""

    name: ClassVar[str] = "bit"
    needs: ClassVar[Literal["vectors", "terms"]] = "vectors"
    sub_field: ClassVar[type[sub_fields.Bits]] = sub_fields.Bits
    missing: ClassVar[str] = "has no bits: index it again (a partial update drops them)"

    def blob_field(self) -> str:
        """See `BlobReranker`."""
        return sub_fields.Bits.name

    def blob_bytes(self, spec: FieldSpec) -> int:
        """See `BlobReranker`."""
        return BIT.payload_size(TYPICAL_TOKENS, spec.dim)

    def score_blobs(self, spec: FieldSpec, query: EncodedQuery, blobs: Sequence[bytes]) -> Scored:
        """See `BlobReranker`."""
        assert query.vectors is not None
        return maxsim_blobs(query.vectors, blobs)
