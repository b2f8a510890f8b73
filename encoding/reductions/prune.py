"""Pruning by Voronoi cells: tokens that no query would miss (Kankanampati et al. 2026, "A Voronoi cell formulation for
principled token pruning in late-interaction retrieval models", section 3).

A query token matches the document token of the largest product; what MaxSim loses without a token is, over the query
tokens that match it, the gap to the second largest. The token with the smallest loss goes, until as many are left as
are wanted. The expectation is over a sample of real tokens, where the paper draws directions at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.blas import one_thread
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State, check_least
from opensearch_multivector.encoding.reductions.merging import kept
from opensearch_multivector.errors import InputError

_PROBES = 1024


@dataclass(frozen=True, slots=True)
class Prune(Reduction):
    """A document of n tokens keeps ceil(n / factor). State: ``probes`` (p, dimension) float32."""

    name: ClassVar[str] = "prune"
    needs_training: ClassVar[bool] = True

    factor: int = 2

    def __post_init__(self) -> None:
        check_least(self.name, "factor", self.factor, 1)

    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """The tokens that stay, in their order."""
        vectors = tokens.vectors
        surplus = len(vectors) - -(-len(vectors) // self.factor)
        if not surplus:
            return tokens
        with one_thread():
            products = state["probes"] @ vectors.T
        best, second, gaps = _two_best(products)
        stays = np.ones(len(vectors), np.bool_)
        for _ in range(surplus):
            losses = np.bincount(best, gaps, len(vectors))
            least = int(np.where(stays, losses, np.inf).argmin())
            stays[least] = False
            products[:, least] = -np.inf
            touched = np.flatnonzero((best == least) | (second == least))
            best[touched], second[touched], gaps[touched] = _two_best(products[touched])
        return kept(tokens, stays)

    def train(self, documents: Sequence[FloatArray], queries: Sequence[FloatArray]) -> State:
        """Probes: tokens of the queries where there are any, else of the documents."""
        sample = queries or documents
        if not sample:
            raise InputError(f"reduction {self.name!r} can't be trained without token vectors")
        rows = np.concatenate(sample)
        picked = np.random.default_rng(0).permutation(len(rows))[:_PROBES]
        return {"probes": rows[np.sort(picked)]}


def _two_best(products: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.intp], FloatArray]:
    """Per row the columns of the largest and of the second largest product, and the gap between these."""
    rows = np.arange(len(products))
    others = products.copy()
    best = products.argmax(axis=1)
    others[rows, best] = -np.inf
    second = others.argmax(axis=1)
    gaps: FloatArray = products[rows, best] - others[rows, second]
    return best, second, gaps
