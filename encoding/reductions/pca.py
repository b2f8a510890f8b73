"""Principal components: the subspace of ``dim`` dimensions in which token vectors lose least.

Documents and queries are projected on the first eigenvectors V of the tokens' second moments E[x x']. Not centred,
since inner products are to stay: of all projections it changes x . y least for x and y distributed alike, and not at
all where all vectors lie in the subspace (Tepper et al. 2024, "LeanVec: Searching vectors faster by making them fit",
section 2: LeanVec-ID). What a vector loses in length it gets back, so that products are cosines in the subspace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State, check_dim, check_least
from opensearch_multivector.encoding.reductions.merging import with_lengths
from opensearch_multivector.errors import InputError


@dataclass(frozen=True, slots=True)
class Pca(Reduction):
    """Keeps ``dim`` dimensions. State: ``matrix`` (dimension, dim) float32 with orthonormal columns."""

    name: ClassVar[str] = "pca"
    needs_training: ClassVar[bool] = True
    keeps_tokens: ClassVar[bool] = True

    dim: int = 128

    def __post_init__(self) -> None:
        check_least(self.name, "dim", self.dim, 1)

    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """The tokens in the subspace."""
        return DocumentTokens(self.query(tokens.vectors, state), tokens.offsets, tokens.text)

    def query(self, vectors: FloatArray, state: State) -> FloatArray:
        """As documents."""
        return with_lengths(vectors @ state["matrix"], np.linalg.norm(vectors, axis=1))

    def out_dim(self, dim: int) -> int:
        """``dim``. Raises InputError where vectors have fewer."""
        return check_dim(self.name, self.dim, dim)

    def train(self, documents: Sequence[FloatArray], queries: Sequence[FloatArray]) -> State:
        """The principal components of the documents' tokens. Raises InputError where there are none."""
        moments = second_moments(self.name, documents)
        self.out_dim(len(moments))
        return {"matrix": leading(moments, self.dim).astype(np.float32)}


def second_moments(name: str, sample: Sequence[FloatArray]) -> NDArray[np.float64]:
    """E[x x'] over all rows: (dim, dim). Raises InputError where there are none."""
    rows = sum(len(vectors) for vectors in sample)
    if not rows:
        raise InputError(f"reduction {name!r} can't be trained without token vectors")
    total = np.zeros((sample[0].shape[1],) * 2)
    for vectors in sample:
        total += vectors.T @ vectors
    moments: NDArray[np.float64] = total / rows
    return moments


def leading(symmetric: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The eigenvectors of the largest eigenvalues, as columns, largest first, the largest entry of each positive."""
    vectors: NDArray[np.float64] = np.linalg.eigh(symmetric)[1][:, ::-1][:, :count]
    largest = np.abs(vectors).argmax(axis=0)
    result: NDArray[np.float64] = vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return result
