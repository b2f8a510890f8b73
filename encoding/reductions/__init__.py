"""Reductions of token vectors: one file per method, one table here.

To add one: write its file and add it to `REDUCTIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State
from opensearch_multivector.encoding.reductions.chain import Reducer
from opensearch_multivector.encoding.reductions.count import Count
from opensearch_multivector.encoding.reductions.cut import Cut
from opensearch_multivector.encoding.reductions.fft import Fft
from opensearch_multivector.encoding.reductions.first import First
from opensearch_multivector.encoding.reductions.kmeans import KMeans
from opensearch_multivector.encoding.reductions.leanvec import LeanVec
from opensearch_multivector.encoding.reductions.pca import Pca
from opensearch_multivector.encoding.reductions.pool import Pool
from opensearch_multivector.encoding.reductions.prune import Prune
from opensearch_multivector.encoding.reductions.stopwords import Stopwords
from opensearch_multivector.encoding.reductions.words import Words
from opensearch_multivector.expressions import build, parameters

__all__ = ["REDUCTIONS", "DocumentTokens", "Reducer", "Reduction", "State", "described", "parse_reductions"]

REDUCTIONS: Mapping[str, type[Reduction]] = {
    cls.name: cls for cls in (Pool, Count, KMeans, Words, Stopwords, First, Prune, Fft, Cut, Pca, LeanVec)
}


def parse_reductions(expression: str) -> tuple[Reduction, ...]:
    """``"pool:factor=2|cut:dim=64"`` to reductions, in order; "": none. Raises InputError."""
    return tuple(build(part, REDUCTIONS, "reduction") for part in expression.split("|")) if expression.strip() else ()


def described(reductions: Sequence[Reduction]) -> str:
    """The expression of these reductions with every parameter, since a later release may have other defaults."""
    return "|".join(
        f"{each.name}:{','.join(f'{key}={getattr(each, key)}' for key in parameters(type(each)))}"
        for each in reductions
    )
