"""`slim`: SLIM's exact score over `F.token_terms`, the sparse MaxSim (Li et al. 2023, section 3.1).

    score(q, d) = sum over query tokens i of  max over document tokens j of  sum over terms v of  q_i[v] * d_j[v]

The refinement that the paper runs over the candidates of its bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from opensearch_multivector.encoding.term_blob import slim_scores
from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.rerankers.blobs import BlobReranker, Scored

# 256 tokens of 20 terms of 4 bytes, and their counts.
_TYPICAL_BYTES = 256 * (20 * 4 + 1)


@dataclass(frozen=True, slots=True)
class Slim(BlobReranker):
    """See the module's text."""

    name: ClassVar[str] = "slim"
    needs: ClassVar[Literal["vectors", "terms"]] = "terms"
    sub_field: ClassVar[type[sub_fields.TokenTerms]] = sub_fields.TokenTerms
    missing: ClassVar[str] = "has no token terms: index it again (a partial update drops them)"

    def blob_field(self) -> str:
        """See `BlobReranker`."""
        return sub_fields.TokenTerms.name

    def blob_bytes(self, spec: FieldSpec) -> int:
        """See `BlobReranker`."""
        return _TYPICAL_BYTES

    def score_blobs(self, spec: FieldSpec, query: EncodedQuery, blobs: Sequence[bytes]) -> Scored:
        """See `BlobReranker`. Raises InputError on a query whose terms are not told apart by token."""
        if query.terms is None or query.terms.tokens is None:
            raise InputError(
                "rerank 'slim' needs the terms of each query token: search with the query's text, or with "
                "QueryTerms(tokens=...)"
            )
        return slim_scores(query.terms.tokens, blobs)
