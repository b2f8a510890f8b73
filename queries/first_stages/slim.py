"""`slim` and `slim-fused`: SLIM's inverted-index retrieval (Li et al. 2023, section 3.2) over `F.slim`.

With q_i[v] the weight of vocabulary term v at query token i and D[v] the document's weight, max over its tokens,

    slim        upper bound: sum over v of (sum over i of q_i[v]) * D[v]
    slim-fused  0.99 * upper bound + 0.01 * lower bound, where each query token counts only its heaviest term

Each distinct term is one `rank_feature` clause with its weight as boost; `linear` makes its score boost * D[v].
OpenSearch keeps D[v] with 9 significant bits, hence a relative error of up to 2**-8 a term.
"""

from __future__ import annotations

from collections.abc import Mapping

from opensearch_multivector.errors import MismatchError
from opensearch_multivector.plugin.fields import SLIM, FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage, filtered

# `indices.query.bool.max_clause_count` is 1,024 by default; room is left for the clauses of the user's filter.
MAX_CLAUSES = 960


def _bag(spec: FieldSpec, weights: Mapping[str, float], filter_: Dsl | None) -> Dsl:
    if spec.terms is None:
        raise MismatchError(f"first stage 'slim' needs {spec.sub(SLIM)}: index with --terms to have it")
    if not weights:
        return {"match_none": {}}
    heaviest = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:MAX_CLAUSES]
    field = spec.sub(SLIM)
    clauses = [
        {"rank_feature": {"field": f"{field}.{term}", "boost": weight, "linear": {}}} for term, weight in heaviest
    ]
    return filtered({"bool": {"should": clauses, "minimum_should_match": 1}}, filter_)


def _upper(spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
    assert query.terms is not None
    return _bag(spec, query.terms.upper, filter_)


def _fused(spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
    assert query.terms is not None
    return _bag(spec, query.terms.fused, filter_)


SLIM_UPPER = FirstStage("slim", needs="terms", dsl=_upper)
SLIM_FUSED = FirstStage("slim-fused", needs="terms", dsl=_fused)
