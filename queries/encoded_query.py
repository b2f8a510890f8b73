"""What a query becomes before any request is built."""

from __future__ import annotations

from dataclasses import dataclass

from opensearch_multivector.encoding.encoders.base import FloatArray, TokenTerms


@dataclass(frozen=True, slots=True)
class QueryTerms:
    """SLIM terms of a query, by feature name: ``upper`` and ``fused`` weights, and the tokens they came from."""

    upper: dict[str, float]
    fused: dict[str, float]
    tokens: TokenTerms | None = None


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A query ready to be searched with; also the way to search with vectors that were made elsewhere.

    ``vectors``: (n_tokens, dim) float32 for the rerank and the stages over token vectors, as the encoder gives them:
    reductions of the index are applied to them; ``pooled``: (dim,) float32 for `dense`; ``terms`` for `slim`; ``text``
    for `bm25`. Only what the first stage and the rerank use has to be there.
    """

    text: str | None = None
    vectors: FloatArray | None = None
    pooled: FloatArray | None = None
    terms: QueryTerms | None = None
