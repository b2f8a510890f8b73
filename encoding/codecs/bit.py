"""`bit`: the signs of a randomly rotated vector, one bit a dimension, and one number for its length.

RaBitQ (Gao & Long 2024, "RaBitQ: quantizing high-dimensional vectors with a theoretical error bound for approximate
nearest neighbor search", section 3) with the origin as centre. With R the rotation, u = x / |x|, s = sign(u R) in
{-1, +1}**d and a = <s, u R> / sqrt(d), the cosine of u R and its signs,

    factor = |x| / <s, u R>,    q . x  ~  factor * <s, q R>

The query is not quantised. The estimate is unbiased over random rotations; with t the cosine of q and x its error is
|q| |x| sqrt(1 - t**2) e where e has mean 0 and standard deviation sqrt(1 / a**2 - 1) / sqrt(d - 1), about
.755 / sqrt(d - 1) since a is about sqrt(2 / pi) = .798: .039 at 384 dimensions, .067 at 128. At t = 1 it is exact.

A decoded vector is factor * s R^T, of which the estimate is the inner product: its product with x is |x|**2, its norm
|x| / a, and it is off by |x| sqrt(1 / a**2 - 1), about .755 |x|. Good for scores, not for looking at.

Payload: n factors (f32), n rows of ceil(d / 8) bytes, the first component in the lowest bit, 1 for +1. d / 8 + 4 bytes
a vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opensearch_multivector.encoding.codecs.base import Codec
from opensearch_multivector.encoding.codecs.columns import columns
from opensearch_multivector.encoding.codecs.directions import directions
from opensearch_multivector.encoding.codecs.packing import byte_values, pack, packed_width, unpack
from opensearch_multivector.encoding.codecs.rotation import rotation
from opensearch_multivector.encoding.encoders.base import FloatArray

_SIGNS = byte_values(np.array([-1, 1], np.float32))


class BitCodec(Codec):
    """See the module's text."""

    name = "bit"
    codec_id = 5

    def payload_size(self, count: int, dim: int) -> int:
        """See `Codec`."""
        return count * (packed_width(dim, 1) + 4)

    def encode(self, vectors: FloatArray) -> bytes:
        """See `Codec`."""
        if vectors.size == 0:
            return np.zeros(len(vectors), "<f4").tobytes()
        units, norms = directions(vectors)
        rotated = units @ rotation(vectors.shape[1])
        products = np.abs(rotated).sum(axis=1)
        factors = norms / np.where(products > 0, products, np.float32(1))
        return factors.astype("<f4").tobytes() + pack((rotated > 0).astype(np.uint8), 1).tobytes()

    def decode(self, payload: memoryview, count: int, dim: int) -> FloatArray:
        """See `Codec`."""
        factors, signs = self._read([payload], [count], dim)
        return (signs @ rotation(dim).T) * factors[:, None]

    def similarities(
        self, payloads: Sequence[memoryview], counts: Sequence[int], dim: int, query: FloatArray
    ) -> FloatArray:
        """See `Codec`."""
        factors, signs = self._read(payloads, counts, dim)
        products = signs @ (query @ rotation(dim)).T
        products *= factors[:, None]
        return products

    def _read(self, payloads: Sequence[memoryview], counts: Sequence[int], dim: int) -> tuple[FloatArray, FloatArray]:
        factors, packed = columns(payloads, counts, ("<f4", ()), ("u1", (packed_width(dim, 1),)))
        return factors, unpack(packed, _SIGNS)[:, :dim]


BIT = BitCodec()
