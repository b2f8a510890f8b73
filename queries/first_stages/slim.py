"""`slim`: SLIM's inverted-index retrieval (Li et al. 2023, section 3.2) over `F.slim`.

With q_i[v] the weight of vocabulary term v at query token i and D[v] the document's weight, max over its tokens,

    bound=upper   sum over v of (sum over i of q_i[v]) * D[v]
    bound=fused   0.99 * upper bound + 0.01 * lower bound, where each query token counts only its heaviest term

Learned-sparse weights of other models (uniCOIL, DeepImpact, SPLADE) are one weight a term: the plain dot product.

OpenSearch keeps D[v] with 9 significant bits, cut off, hence a relative error of up to 2**-8 a term. Two ways to ask,
which score alike: `rank_feature`, one linear clause a term, works on every cluster; `neural_sparse` sends the weights
as one object and needs the neural-search plugin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage, Need, filtered
from opensearch_multivector.queries.first_stages.clauses import MAX_CLAUSES

_BOUNDS = ("upper", "fused")
_WAYS = ("rank_feature", "neural_sparse")


@dataclass(frozen=True, slots=True)
class Slim(FirstStage):
    """``bound``: "upper" or "fused". ``terms``: the heaviest of the query that count. ``way``: see the module's text.

    ``terms`` is at most 960, as OpenSearch takes 1,024 clauses a query.
    """

    name: ClassVar[str] = "slim"
    needs: ClassVar[Need] = "terms"
    sub_field: ClassVar[type[sub_fields.Slim]] = sub_fields.Slim

    bound: str = "upper"
    terms: int = MAX_CLAUSES
    way: str = "rank_feature"

    def __post_init__(self) -> None:
        if self.bound not in _BOUNDS:
            raise InputError(f"bound of first stage 'slim' is {' or '.join(_BOUNDS)}, not {self.bound!r}")
        if self.way not in _WAYS:
            raise InputError(f"way of first stage 'slim' is {' or '.join(_WAYS)}, not {self.way!r}")
        if not 1 <= self.terms <= MAX_CLAUSES:
            raise InputError(f"terms of first stage 'slim' is 1 to {MAX_CLAUSES}, not {self.terms}")

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`."""
        assert query.terms is not None
        weights = query.terms.fused if self.bound == "fused" else query.terms.upper
        if not weights:
            return {"match_none": {}}
        heaviest = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[: self.terms]
        field = spec.sub(self.name)
        if self.way == "neural_sparse":
            return filtered({"neural_sparse": {field: {"query_tokens": dict(heaviest)}}}, filter_)
        clauses = [
            {"rank_feature": {"field": f"{field}.{term}", "boost": weight, "linear": {}}} for term, weight in heaviest
        ]
        return filtered({"bool": {"should": clauses, "minimum_should_match": 1}}, filter_)
