"""`codes`: candidates by the codebook's centroids, PLAID's and WARP's first step as an inverted-index query.

For each query token its ``nprobe`` nearest centroids are asked for, each a `term` of `F.codes` whose boost is what a
document gains by having it, and a `dis_max` takes the best of them; `bool` adds the tokens up:

    score(q, d) = sum over query tokens i of  max over probed centroids c of d of  (q_i . c - m_i)

with m_i the imputed similarity of a document that has none of them (`encoding.centroid_interaction`, whose ``missing``
is the stage's). ``merge``: one clause for each distinct centroid, with the gains of all tokens summed: less work, but a
document with several near centroids is counted several times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opensearch_multivector.encoding.centroid_interaction import probes
from opensearch_multivector.encoding.code_terms import code_term
from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage, Need, filtered
from opensearch_multivector.queries.first_stages.clauses import MAX_CLAUSES, term_clause


@dataclass(frozen=True, slots=True)
class Codes(FirstStage):
    """``nprobe``: centroids for each query token. ``missing``, ``merge``: see the module's text.

    Where a long query would need more clauses than OpenSearch takes, those of the least gain are left out.
    """

    name: ClassVar[str] = "codes"
    needs: ClassVar[Need] = "vectors"
    sub_field: ClassVar[type[sub_fields.Codes]] = sub_fields.Codes

    nprobe: int = 16
    missing: float = 0.9
    merge: bool = False

    def __post_init__(self) -> None:
        if self.nprobe < 1:
            raise InputError(f"nprobe of first stage 'codes' has to be at least 1, not {self.nprobe}")
        if not self.missing > 0:
            raise InputError(f"missing of first stage 'codes' has to be above 0, not {self.missing}")

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`."""
        assert query.vectors is not None
        if spec.codebook is None:
            raise MismatchError(f"{spec.sub(self.name)} is described without its codebook: index or attach again")
        ids, gains = probes(spec.codebook, query.vectors, self.nprobe, self.missing)
        clauses = self.merged(spec, ids, gains) if self.merge else self.best_of_each(spec, ids, gains)
        if not clauses:
            return {"match_none": {}}
        return filtered({"bool": {"should": clauses, "minimum_should_match": 1}}, filter_)

    def best_of_each(self, spec: FieldSpec, ids: IntArray, gains: FloatArray) -> list[Dsl]:
        """One `dis_max` for each query token."""
        kept = np.zeros(gains.shape, np.bool_)
        kept.flat[np.argsort(-gains, axis=None, kind="stable")[:MAX_CLAUSES]] = True
        kept &= gains > 0
        field = spec.sub(self.name)
        return [
            {
                "dis_max": {
                    "queries": [term_clause(field, code_term(c), float(gain)) for c, gain in zip(own, won, strict=True)]
                }
            }
            for own, won in ((ids[i, kept[i]].tolist(), gains[i, kept[i]]) for i in range(len(ids)))
            if own
        ]

    def merged(self, spec: FieldSpec, ids: IntArray, gains: FloatArray) -> list[Dsl]:
        """One clause for each distinct centroid."""
        distinct, place = np.unique(ids, return_inverse=True)
        sums = np.bincount(place.ravel(), gains.ravel(), len(distinct))
        heaviest = np.argsort(-sums, kind="stable")[:MAX_CLAUSES]
        field = spec.sub(self.name)
        return [term_clause(field, code_term(int(distinct[i])), float(sums[i])) for i in heaviest if sums[i] > 0]
