"""`pq`: the pooled query vector against `F.pq`, product-quantised terms (`encoding.subvector_terms`).

    score(q, x) = sum over parts p of  max(0, q_p . c(x_p) - m_p)

where c(x_p) is the centroid that the document's part p fell on and m_p the best similarity of q_p to a centroid that is
not among the ``nprobe`` asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opensearch_multivector.encoding.code_terms import code_term
from opensearch_multivector.encoding.subvector_terms import SubvectorCodebook
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage, Need, filtered
from opensearch_multivector.queries.first_stages.clauses import MAX_CLAUSES, term_clause


@dataclass(frozen=True, slots=True)
class Pq(FirstStage):
    """``nprobe``: centroids for each part, fewer where all parts together would need more clauses than there may be."""

    name: ClassVar[str] = "pq"
    needs: ClassVar[Need] = "pooled"
    sub_field: ClassVar[type[sub_fields.Pq]] = sub_fields.Pq

    nprobe: int = 5

    def __post_init__(self) -> None:
        if self.nprobe < 1:
            raise InputError(f"nprobe of first stage 'pq' has to be at least 1, not {self.nprobe}")

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`."""
        assert query.pooled is not None
        codebook: SubvectorCodebook | None = spec.state.get("subvectors")
        if codebook is None:
            raise MismatchError(f"{spec.sub(self.name)} is described without its codebook: index or attach again")
        nprobe = min(self.nprobe, MAX_CLAUSES // codebook.parts)
        ids, weights = codebook.weights(query.pooled, nprobe)
        field = spec.sub(self.name)
        clauses = [term_clause(field, code_term(i), float(w)) for i, w in zip(ids.tolist(), weights, strict=True)]
        if not clauses:
            return {"match_none": {}}
        return filtered({"bool": {"should": clauses, "minimum_should_match": 1}}, filter_)
