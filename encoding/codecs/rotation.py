"""A rotation that looks random, the same for every writer and reader of a dimension, in any language.

Four rounds, each of random signs for all components and then the orthonormal Walsh-Hadamard transform of p of them, the
first p in odd rounds and the last p in even ones, where p is the greatest power of two that is not over the dimension:
no component is added, so no bit is stored for padding. (Signs and Hadamard: Ailon & Chazelle 2009, "The fast
Johnson-Lindenstrauss transform", section 3; the halves: as in the code of RaBitQ.)

Preferred to the Q of a Gaussian matrix since that takes a QR decomposition, whose last bits differ between machines and
whose time grows with dim**3, and since stored bits have to be readable for good: the signs are the
highest bits of SplitMix64 (Steele et al. 2014), seed 0, which in Java is `new SplittableRandom(0).nextLong() < 0`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray

_ROUNDS = 4


@lru_cache(maxsize=8)
def rotation(dim: int) -> FloatArray:
    """(dim, dim) float32 R, orthogonal within float32 rounding: rows of ``vectors @ R`` are rotated vectors.

    Applied as a matrix: for a document's few hundred vectors BLAS is as fast as the transform itself in NumPy.
    """
    matrix = np.eye(dim)
    width = 1 << dim.bit_length() - 1
    for number, signs in enumerate(_signs(_ROUNDS * dim).reshape(_ROUNDS, dim)):
        matrix *= signs
        part = slice(width) if number % 2 == 0 else slice(dim - width, None)
        matrix[:, part] = _hadamard(matrix[:, part])
    rotated = matrix.astype(np.float32)
    rotated.setflags(write=False)
    return rotated


def _signs(count: int) -> NDArray[np.float64]:
    """+1 and -1 by the highest bits of the first ``count`` numbers of SplitMix64, 1 for -1."""
    state = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return np.where(state >> np.uint64(63), -1.0, 1.0)


def _hadamard(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal Walsh-Hadamard transform of each row; their length is a power of two."""
    count, width = rows.shape
    span = 1
    while span < width:
        pairs = rows.reshape(count, -1, 2, span)
        rows = np.stack((pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]), axis=2)
        span *= 2
    transformed: NDArray[np.float64] = rows.reshape(count, width) / np.sqrt(width)
    return transformed
