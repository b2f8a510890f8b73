"""First stages: one file per stage, pure functions to OpenSearch DSL, one table here.

To add one: write its file and add it to `FIRST_STAGES`; it is then known to `Searcher`, `osmv search` and `osmv eval`,
alone and in fusions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from opensearch_multivector.errors import InputError
from opensearch_multivector.expressions import build
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage
from opensearch_multivector.queries.first_stages.bm25 import Bm25
from opensearch_multivector.queries.first_stages.codes import Codes
from opensearch_multivector.queries.first_stages.dense import Dense
from opensearch_multivector.queries.first_stages.fde import Fde
from opensearch_multivector.queries.first_stages.gauss import Gauss
from opensearch_multivector.queries.first_stages.own import Own
from opensearch_multivector.queries.first_stages.pq import Pq
from opensearch_multivector.queries.first_stages.seismic import Seismic
from opensearch_multivector.queries.first_stages.slim import Slim
from opensearch_multivector.queries.first_stages.tokens import Tokens
from opensearch_multivector.queries.first_stages.views import Views

__all__ = ["FIRST_STAGES", "Dsl", "FirstStage", "FirstStages", "parse_first_stages"]

FIRST_STAGES: dict[str, type[FirstStage]] = {
    cls.name: cls for cls in (Bm25, Codes, Dense, Fde, Gauss, Own, Pq, Seismic, Slim, Tokens, Views)
}

# Not the + of 1e+3.
_PLUS = re.compile(r"(?<![0-9][eE])\+")
_WEIGHTED = re.compile(r"\s*([0-9.]+(?:[eE][-+]?[0-9]+)?)\s*\*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FirstStages:
    """One stage, or several to fuse: by weighted sum where there are ``weights`` (one each), else by RRF."""

    stages: tuple[FirstStage, ...]
    weights: tuple[float, ...] | None = None


def parse_first_stages(expression: str) -> FirstStages:
    """``"dense"``, ``"codes:nprobe=8"``, a fusion by RRF ``"bm25+dense"``, by weights ``"0.3*bm25 + 0.7*dense"``.

    Raises InputError on an unknown, impossible or repeated stage, and on weights that only some stages have.
    """
    parts = _PLUS.split(expression)
    weighted = [_WEIGHTED.fullmatch(part) for part in parts]
    stages = tuple(
        build(match[2] if match else part, FIRST_STAGES, "first stage")
        for part, match in zip(parts, weighted, strict=True)
    )
    if len(set(stages)) < len(stages):
        raise InputError(f"first stage {expression!r} names a stage twice")
    if not any(weighted):
        return FirstStages(stages)
    if len(parts) == 1 or not all(weighted):
        raise InputError(f"first stage {expression!r}: give each stage of a fusion a weight, or none of them")
    weights = tuple(_weight(match[1], expression) for match in weighted if match)
    return FirstStages(stages, weights)


def _weight(number: str, expression: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        raise InputError(f"first stage {expression!r}: {number!r} is no weight") from None
    if not weight > 0:
        raise InputError(f"first stage {expression!r}: a weight must be above 0, not {number}")
    return weight
