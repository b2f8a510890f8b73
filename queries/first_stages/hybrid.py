"""Several first stages as one `hybrid` query, fused inside OpenSearch by a search pipeline in the request itself.

The formulas are those of `queries.fusion`, which computes them to the same single-precision numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage, Need
from opensearch_multivector.queries.first_stages.clauses import MAX_CLAUSES
from opensearch_multivector.queries.fusion import RANK_CONSTANT, shares

# More queries than these are refused.
_MAX_QUERIES = 5


@dataclass(frozen=True, slots=True)
class Hybrid(FirstStage):
    """Fuses its ``stages`` by the ``weights``, or by RRF where there are none. No stage that users name."""

    name: ClassVar[str] = "hybrid"
    needs: ClassVar[Need] = "text"

    stages: tuple[FirstStage, ...] = ()
    weights: tuple[float, ...] | None = None

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`. `hybrid` has to be outermost: the filter goes into each of its queries."""
        return {"hybrid": {"queries": [stage.dsl(spec, query, window_size, filter_) for stage in self.stages]}}

    def extra(self, spec: FieldSpec, query: EncodedQuery, window_size: int) -> Dsl:
        """See `FirstStage`: the pipeline that fuses."""
        if self.weights is None:
            rrf = {"technique": "rrf", "rank_constant": RANK_CONSTANT}
            processor: Dsl = {"score-ranker-processor": {"combination": rrf}}
        else:
            mean = {"technique": "arithmetic_mean", "parameters": {"weights": shares(self.weights)}}
            processor = {"normalization-processor": {"normalization": {"technique": "min_max"}, "combination": mean}}
        return {"search_pipeline": {"phase_results_processors": [processor]}}

    def fits(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> bool:
        """Whether all the stages' clauses together stay under the limit, which is one for the whole `hybrid`."""
        return _clauses(self.dsl(spec, query, window_size, filter_)) <= MAX_CLAUSES


def why_not_hybrid(stages: tuple[FirstStage, ...]) -> str | None:
    """Why these stages can't be fused inside OpenSearch; None where they can."""
    if len(stages) > _MAX_QUERIES:
        return f"OpenSearch fuses up to {_MAX_QUERIES} first stages, not {len(stages)}"
    for stage in stages:
        if not stage.scored_by_engine():
            return f"first stage {stage.name!r} computes its scores here"
        if type(stage).extra is not FirstStage.extra:
            return f"first stage {stage.name!r} needs a request of its own"
        if stage.min_score > -inf:
            return f"min_score of first stage {stage.name!r} can't be told to OpenSearch in a fusion"
    return None


def _clauses(clause: Any) -> int:
    """About how many clauses Lucene counts in a query; of what is not known, one."""
    if isinstance(clause, list):
        return sum(map(_clauses, clause))
    if not isinstance(clause, dict) or len(clause) != 1:
        return 1
    ((kind, body),) = clause.items()
    if not isinstance(body, dict):
        return 1
    if kind in ("hybrid", "dis_max"):
        return _clauses(body.get("queries", []))
    if kind == "bool":
        parts = (body.get(occurrence, []) for occurrence in ("must", "should", "filter", "must_not"))
        return sum(_clauses(part) for part in parts)
    asked = next(iter(body.values()), None)
    if kind == "match":
        return len(re.findall(r"\w+", str(asked.get("query") if isinstance(asked, dict) else asked)))
    if kind == "neural_sparse" and isinstance(asked, dict):
        return len(asked.get("query_tokens", ())) or 1
    return 1
