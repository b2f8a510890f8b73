"""Low-pass truncation along the token axis: neighbouring tokens share much, and the slow part of it is kept.

The sequence of a document's n vectors is taken apart into n cosines (DCT-II), the first m are kept, and m vectors are
made of them: the transform, truncation and inverse that the Fourier Transformer puts between layers (He et al. 2023,
"Fourier Transformer: Fast long range modeling by removing sequence redundancy with FFT operator", section 3).
Cosines, since the Fourier transform proper would join the document's end to its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray
from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State, check_least
from opensearch_multivector.encoding.reductions.merging import mean_lengths, with_lengths


@dataclass(frozen=True, slots=True)
class Fft(Reduction):
    """A document of n tokens becomes ceil(n / factor) evenly spaced samples of its low frequencies."""

    name: ClassVar[str] = "fft"

    factor: int = 2

    def __post_init__(self) -> None:
        check_least(self.name, "factor", self.factor, 1)

    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """The samples, each as long as the tokens around it; its span is that of these tokens."""
        count = len(tokens.vectors)
        size = -(-count // self.factor)
        if count == size:
            return tokens
        near = np.arange(count) * size // count
        vectors = with_lengths(
            _cosines(size).T @ (_cosines(count)[:size] @ tokens.vectors), mean_lengths(tokens.vectors, near)
        )
        return DocumentTokens(vectors, None if tokens.offsets is None else _covered(tokens.offsets, near), tokens.text)


@lru_cache(64)
def _cosines(size: int) -> FloatArray:
    """The orthonormal DCT-II: (size frequencies, size samples)."""
    frequency, sample = np.ogrid[:size, :size]
    waves = np.cos(np.pi / size * frequency * (sample + 0.5)) * np.sqrt(2 / size)
    waves[0] /= np.sqrt(2)
    result: FloatArray = waves.astype(np.float32)
    return result


def _covered(offsets: IntArray, groups: NDArray[np.intp]) -> IntArray:
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    placed = offsets[:, 1] > offsets[:, 0]
    begins = np.minimum.reduceat(np.where(placed, offsets[:, 0], np.iinfo(np.int32).max), starts)
    ends = np.maximum.reduceat(offsets[:, 1], starts)
    return np.stack([np.minimum(begins, ends), ends], axis=1).astype(np.int32)
