"""First stages: one file per stage, pure functions to OpenSearch DSL, one table here.

To add one: write its file and add it to `FIRST_STAGES`; it is then known to `Searcher`, `osmv search` and `osmv eval`,
alone and in fusions.
"""

from __future__ import annotations

from opensearch_multivector.errors import InputError
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage
from opensearch_multivector.queries.first_stages.bm25 import BM25
from opensearch_multivector.queries.first_stages.dense import DENSE_STAGE
from opensearch_multivector.queries.first_stages.slim import SLIM_FUSED, SLIM_UPPER

__all__ = ["FIRST_STAGES", "Dsl", "FirstStage", "parse_first_stage"]

FIRST_STAGES: dict[str, FirstStage] = {stage.name: stage for stage in (BM25, DENSE_STAGE, SLIM_UPPER, SLIM_FUSED)}


def parse_first_stage(expression: str) -> tuple[FirstStage, ...]:
    """``"dense"`` or a fusion, ``"bm25+dense"``. Raises InputError on an unknown or repeated stage."""
    names = [name.strip() for name in expression.split("+")]
    for name in names:
        if name not in FIRST_STAGES:
            raise InputError(
                f"unknown first stage {name!r} in {expression!r}: "
                f"choose of {', '.join(FIRST_STAGES)}; join with + to fuse"
            )
    if len(set(names)) < len(names):
        raise InputError(f"first stage {expression!r} names a stage twice")
    return tuple(FIRST_STAGES[name] for name in names)
