"""Random matrices that are the same on every machine and with every release of NumPy.

What is stored was computed with them, so a query years later must draw the same. They come from the raw 64-bit words
of PCG64, which NumPy promises to keep (NEP 19; its distributions it may change), are computed in float64 and rounded to
multiples of 2**-20, so that another libm's or LAPACK's last bit makes no difference. ``stream`` keeps matrices of
the same seed apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray

_GRID = 2.0**20


def signs(shape: tuple[int, ...], seed: int, stream: int) -> FloatArray:
    """Independent +1 and -1 in equal parts, float32: the highest bit of a word each."""
    high: NDArray[np.bool_] = _words(int(np.prod(shape)), seed, stream) >> np.uint64(63) == 1
    return np.where(high, np.float32(1), np.float32(-1)).reshape(shape)


def below(limit: int, count: int, seed: int, stream: int) -> NDArray[np.intp]:
    """``count`` whole numbers from 0 to ``limit`` - 1: words modulo the limit."""
    return (_words(count, seed, stream) % np.uint64(limit)).astype(np.intp)


def gaussian(shape: tuple[int, ...], seed: int, stream: int) -> FloatArray:
    """Independent standard normal numbers, float32 (Box & Muller 1958)."""
    return _rounded(_normal(shape, seed, stream))


def orthogonal(dim: int, count: int, seed: int, stream: int) -> FloatArray:
    """(dim, count): columns of random rotations, one after the other; each ``dim`` of them are orthonormal.

    The Q of a Gaussian matrix's QR with R's diagonal positive, which makes it unique and uniform over rotations and
    reflections (Mezzadri 2007, "How to generate random matrices from the classical compact groups").
    """
    blocks = -(-count // dim)
    drawn = _normal((blocks, dim, dim), seed, stream)
    columns = np.empty((dim, blocks, dim))
    for i, block in enumerate(drawn):
        q, r = np.linalg.qr(block)
        columns[:, i] = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return _rounded(columns.reshape(dim, -1)[:, :count])


def _normal(shape: tuple[int, ...], seed: int, stream: int) -> NDArray[np.float64]:
    size = int(np.prod(shape))
    # 53 bits each; the radius's uniform is in (0, 1], where the logarithm is finite.
    uniform = (_words(2 * size, seed, stream) >> np.uint64(11)) * 2.0**-53
    radius, angle = np.sqrt(-2 * np.log(1 - uniform[:size])), 2 * np.pi * uniform[size:]
    normal: NDArray[np.float64] = (radius * np.cos(angle)).reshape(shape)
    return normal


def _words(count: int, seed: int, stream: int) -> NDArray[np.uint64]:
    return np.asarray(np.random.PCG64(np.random.SeedSequence([seed, stream])).random_raw(count), np.uint64)


def _rounded(values: NDArray[np.float64]) -> FloatArray:
    rounded: FloatArray = (np.rint(values * _GRID) / _GRID).astype(np.float32)
    return rounded
