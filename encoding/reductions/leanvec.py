"""Query-aware projection: as `pca`, for queries that are distributed otherwise than documents (Tepper et al. 2024,
"LeanVec: Searching vectors faster by making them fit", section 2: LeanVec-OOD).

Two matrices of ``dim`` columns, B for documents and A for queries, make E[(q . x - A'q . B'x)**2] as small as can be,
B's columns orthonormal. LeanVec wants A's orthonormal too and searches by Frank-Wolfe or eigenvectors; without that
the best pair is known (Tepper & Willke 2024, "GleanVec: Accelerating vector search with minimalist nonlinear
dimensionality reduction": LeanVec-Sphering). With W = E[q q']**(1/2) and P the first eigenvectors of W E[x x'] W it is
W^-1 P and W P, and a matrix between the two, here the R of W P = B R, leaves products alone. Then vectors get back the
length that they had, as in `pca`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State, check_dim, check_least
from opensearch_multivector.encoding.reductions.merging import with_lengths
from opensearch_multivector.encoding.reductions.pca import leading, second_moments

# Of the queries' moments this share is taken from the documents': a few queries don't show all directions.
_MIX = 0.1


@dataclass(frozen=True, slots=True)
class LeanVec(Reduction):
    """Keeps ``dim`` dimensions. State: ``documents`` and ``queries``, each (dimension, dim) float32."""

    name: ClassVar[str] = "leanvec"
    needs_training: ClassVar[bool] = True
    needs_queries: ClassVar[bool] = True
    keeps_tokens: ClassVar[bool] = True

    dim: int = 128

    def __post_init__(self) -> None:
        check_least(self.name, "dim", self.dim, 1)

    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """The tokens in the documents' subspace."""
        vectors = with_lengths(tokens.vectors @ state["documents"], np.linalg.norm(tokens.vectors, axis=1))
        return DocumentTokens(vectors, tokens.offsets, tokens.text)

    def query(self, vectors: FloatArray, state: State) -> FloatArray:
        """The query's tokens, such that their products with the documents' are about what they were."""
        return with_lengths(vectors @ state["queries"], np.linalg.norm(vectors, axis=1))

    def out_dim(self, dim: int) -> int:
        """``dim``. Raises InputError where vectors have fewer."""
        return check_dim(self.name, self.dim, dim)

    def train(self, documents: Sequence[FloatArray], queries: Sequence[FloatArray]) -> State:
        """Both matrices. Raises InputError without token vectors of documents and of queries."""
        of_documents = second_moments(self.name, documents)
        self.out_dim(len(of_documents))
        of_queries = (1 - _MIX) * second_moments(self.name, queries) + _MIX * of_documents
        values, axes = np.linalg.eigh(of_queries)
        roots = np.sqrt(np.maximum(values, values.max() * 1e-9))
        sphere, unsphere = (axes * roots) @ axes.T, (axes / roots) @ axes.T
        found = leading(sphere @ of_documents @ sphere, self.dim)
        basis, change = np.linalg.qr(sphere @ found)
        return {
            "documents": basis.astype(np.float32),
            "queries": (unsphere @ found @ change.T).astype(np.float32),
        }
