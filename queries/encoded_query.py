"""What a query becomes before any request is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray, TokenTerms
from opensearch_multivector.encoding.sparsify import ready_terms


@dataclass(frozen=True, slots=True)
class QueryTerms:
    """SLIM terms of a query, by feature name: ``upper`` and ``fused`` weights, and the tokens they came from.

    ``tokens``: for rerank `slim`, and for `seismic` where the index's terms are of an encoder.
    """

    upper: dict[str, float]
    fused: dict[str, float]
    tokens: TokenTerms | None = None

    @classmethod
    def ready(cls, weights: Mapping[str, float]) -> QueryTerms:
        """Learned-sparse weights by term, made elsewhere (uniCOIL, SPLADE); raises as `sparsify.ready_terms`."""
        terms = ready_terms(weights)
        return cls(terms, terms)


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A query ready to be searched with; also the way to search with vectors that were made elsewhere.

    ``vectors``: (n_tokens, dim) float32 for the rerank and the stages over token vectors, as the encoder gives them:
    reductions of the index are applied to them; ``pooled``: (dim,) float32 for `dense`; ``terms`` for `slim`; ``text``
    for `bm25`; ``offsets``: (n_tokens, 2) int32, spans of the vectors' tokens in the text, for reranks that choose
    tokens by their words; ``dsl``: a query clause of your own, for `query`. Only what the first stage and the rerank
    use has to be there; what of it is left out is encoded from the text, where there is one and the index has an
    encoder for it.
    """

    text: str | None = None
    vectors: FloatArray | None = None
    pooled: FloatArray | None = None
    terms: QueryTerms | None = None
    offsets: IntArray | None = None
    dsl: dict[str, Any] | None = None
