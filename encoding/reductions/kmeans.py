"""k-means of each document's tokens (Veneroso et al. 2025, "CRISP: Clustering multi-vector representations for
denoising and pruning", section 3: fixed and relative numbers of clusters).

CRISP trains the encoder with the clustering in place; on encoders trained without, it is a way to pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opensearch_multivector.encoding.blas import one_thread
from opensearch_multivector.encoding.kmeans import affinity_blocks, kmeans, unit_rows
from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State, check_least
from opensearch_multivector.encoding.reductions.merging import merged


@dataclass(frozen=True, slots=True)
class KMeans(Reduction):
    """Spherical k-means to ``vectors`` clusters; 0: to ceil(n / factor) of a document's n tokens."""

    name: ClassVar[str] = "kmeans"

    factor: int = 4
    vectors: int = 0

    def __post_init__(self) -> None:
        check_least(self.name, "factor", self.factor, 1)
        check_least(self.name, "vectors", self.vectors, 0)

    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """The clusters' means; fewer than asked for where tokens are equal."""
        count = len(tokens.vectors)
        size = self.vectors or -(-count // self.factor)
        if count <= size:
            return tokens
        directions = unit_rows(tokens.vectors)
        with one_thread():
            centroids = kmeans(directions, size, spherical=True)
            blocks = [affinities.argmax(axis=1) for _, affinities in affinity_blocks(directions, centroids)]
        return merged(tokens, np.concatenate(blocks))
