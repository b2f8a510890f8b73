"""`tokens`: k-NN over every token vector, `F.tokens`, scored as XTR does (`encoding.xtr`).

Each query token is one named clause that finds the documents of the nearest token vectors. The response names for each
hit the clauses that found it and their scores, of which the similarities missing are imputed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from opensearch_multivector.encoding.byte_vectors import query_bytes
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.xtr import imputed_scores
from opensearch_multivector.errors import ClusterError, InputError
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import MAX_WINDOW, Dsl, Need
from opensearch_multivector.queries.first_stages.clauses import MAX_CLAUSES
from opensearch_multivector.queries.first_stages.knn import KnnStage, components, inner_product


@dataclass(frozen=True, slots=True)
class Tokens(KnnStage):
    """``k``: documents that each query token brings; all tokens together give the candidates.

    Query tokens beyond OpenSearch's number of clauses are left out.
    """

    name: ClassVar[str] = "tokens"
    needs: ClassVar[Need] = "vectors"
    sub_field: ClassVar[type[sub_fields.Tokens]] = sub_fields.Tokens
    url_parameters: ClassVar[Mapping[str, str]] = {"include_named_queries_score": "true"}

    k: int = 100

    def __post_init__(self) -> None:
        # Not super(): a dataclass with slots is another class than the one that its methods close over.
        KnnStage.__post_init__(self)
        if not 1 <= self.k <= MAX_WINDOW:
            raise InputError(f"k of first stage 'tokens' must be from 1 to {MAX_WINDOW:,}, it is {self.k}")

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`."""
        stored = spec.need(sub_fields.Tokens, "first stage 'tokens'")
        clauses = []
        for i, vector in enumerate(_vectors(query)):
            row: list[float] | list[int] = components(vector)
            if stored.storage == "byte":
                row = query_bytes(vector, stored.limit)[0].tolist()
            clause = self.nearest_nested(spec.sub(self.name), row, self.k, filter_)
            clause["nested"]["_name"] = _name(i)
            clauses.append(clause)
        return {"bool": {"should": clauses}}

    def extra(self, spec: FieldSpec, query: EncodedQuery, window_size: int) -> Dsl:
        """See `FirstStage`: every document that any token found has to come back."""
        return {"size": MAX_WINDOW}

    def scores(self, spec: FieldSpec, query: EncodedQuery, hits: Sequence[dict[str, Any]]) -> list[float]:
        """See `FirstStage`."""
        stored = spec.need(sub_fields.Tokens, "first stage 'tokens'")
        vectors = _vectors(query)
        similarities = np.full((len(hits), len(vectors)), np.nan, np.float32)
        for row, hit in zip(similarities, hits, strict=True):
            found: dict[str, float] | None = hit.get("matched_queries")
            if found is None:
                raise ClusterError(
                    "OpenSearch does not say which clauses found a document, as where the user's role shows only "
                    "some documents (document-level security): take another first stage than 'tokens'."
                )
            for i in range(len(vectors)):
                if (score := found.get(_name(i))) is not None:
                    row[i] = inner_product(score)
        if stored.storage == "byte":
            similarities *= [np.float32(query_bytes(vector, stored.limit)[1]) for vector in vectors]
        scores: list[float] = imputed_scores(similarities, self.k).tolist()
        return scores


def _vectors(query: EncodedQuery) -> FloatArray:
    assert query.vectors is not None
    return query.vectors[:MAX_CLAUSES]


def _name(token: int) -> str:
    return f"token-{token}"
