"""The first dimensions of each vector (Kusupati et al. 2022, "Matryoshka representation learning", section 3), for
encoders trained so that these say the most (jina-colbert-v2, for one); for others see `pca`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State, check_dim, check_least
from opensearch_multivector.encoding.reductions.merging import with_lengths


@dataclass(frozen=True, slots=True)
class Cut(Reduction):
    """Keeps the first ``dim`` dimensions, of documents and queries, and makes each vector as long as it was."""

    name: ClassVar[str] = "cut"
    keeps_tokens: ClassVar[bool] = True

    dim: int = 64

    def __post_init__(self) -> None:
        check_least(self.name, "dim", self.dim, 1)

    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """The tokens with ``dim`` dimensions."""
        return DocumentTokens(self.query(tokens.vectors, state), tokens.offsets, tokens.text)

    def query(self, vectors: FloatArray, state: State) -> FloatArray:
        """As documents."""
        return with_lengths(vectors[:, : self.dim], np.linalg.norm(vectors, axis=1))

    def out_dim(self, dim: int) -> int:
        """``dim``. Raises InputError where vectors have fewer."""
        return check_dim(self.name, self.dim, dim)
