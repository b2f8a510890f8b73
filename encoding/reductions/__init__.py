"""Reductions of token vectors: one file per method, one table here.

To add one: write its file and add it to `REDUCTIONS`.
"""

from __future__ import annotations

from typing import Any

from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State
from opensearch_multivector.encoding.reductions.chain import Reducer
from opensearch_multivector.expressions import build

__all__ = ["REDUCTIONS", "DocumentTokens", "Reducer", "Reduction", "State", "parse_reductions"]

REDUCTIONS: dict[str, type[Any]] = {}


def parse_reductions(expression: str) -> tuple[Reduction, ...]:
    """``"pool:factor=2|cut:dim=64"`` to reductions, in order; "": none. Raises InputError."""
    return tuple(build(part, REDUCTIONS, "reduction") for part in expression.split("|")) if expression.strip() else ()
