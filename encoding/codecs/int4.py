"""`int4`: as `int8`, with 16 levels and two codes a byte.

    scale = (hi - lo) / 15,  offset = lo + 8 * scale,  code = round((x - offset) / scale) in [-8, 7]

with lo and hi the least and greatest component of the vector; x is read back as offset + scale * code: off by at most
scale / 2 a component (plus float32 rounding). q . x = offset * sum(q) + scale * (q . code).

Payload: n scales (f32), n offsets (f32), n rows of h = ceil(d / 2) bytes: byte j has code j in its low half and code
h + j in its high half, both + 8, so that halves of bytes are halves of vectors and nothing is interleaved (a table of
256 pairs took twice as long); the last high half of an odd d is 0. d / 2 + 8 bytes a vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.codecs.base import Codec
from opensearch_multivector.encoding.codecs.columns import columns
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import InputError

_LEVELS = np.float32(15)
_SHIFT = np.float32(8)


class Int4Codec(Codec):
    """See the module's text."""

    name = "int4"
    codec_id = 4

    def payload_size(self, count: int, dim: int) -> int:
        """See `Codec`."""
        return count * (-(-dim // 2) + 8)

    def encode(self, vectors: FloatArray) -> bytes:
        """See `Codec`."""
        if vectors.size == 0:
            return np.zeros(2 * len(vectors), "<f4").tobytes()
        low = vectors.min(axis=1)
        # In float64: hi - lo of two huge finite floats may not be finite in float32.
        exact = vectors.astype(np.float64) - low[:, None]
        scale = (exact.max(axis=1) / _LEVELS).astype(np.float32)
        exact /= np.where(scale > 0, scale, np.float32(1))[:, None]
        codes = np.rint(exact).clip(0, _LEVELS).astype(np.uint8)
        half = -(-vectors.shape[1] // 2)
        packed = codes[:, :half].copy()
        packed[:, : codes.shape[1] - half] |= codes[:, half:] << 4
        with np.errstate(over="ignore", invalid="ignore"):
            offset = low + _SHIFT * scale
            greatest = offset + (_SHIFT - 1) * scale
        if not np.isfinite(greatest).all():
            raise InputError("token vectors range over more than float32 holds: use codec f32")
        return b"".join((scale.astype("<f4").tobytes(), offset.astype("<f4").tobytes(), packed.tobytes()))

    def decode(self, payload: memoryview, count: int, dim: int) -> FloatArray:
        """See `Codec`."""
        scale, offset, codes = self._read([payload], [count], dim)
        vectors: FloatArray = codes * scale[:, None] + offset[:, None]
        return vectors

    def similarities(
        self, payloads: Sequence[memoryview], counts: Sequence[int], dim: int, query: FloatArray
    ) -> FloatArray:
        """See `Codec`."""
        scale, offset, codes = self._read(payloads, counts, dim)
        products = codes.astype(np.float32) @ query.T
        products *= scale[:, None]
        products += offset[:, None] * query.sum(axis=1)
        return products

    def _read(
        self, payloads: Sequence[memoryview], counts: Sequence[int], dim: int
    ) -> tuple[FloatArray, FloatArray, NDArray[np.int8]]:
        half = -(-dim // 2)
        scale, offset, packed = columns(payloads, counts, ("<f4", ()), ("<f4", ()), ("u1", (half,)))
        codes = np.empty((len(packed), dim), np.uint8)
        np.bitwise_and(packed, 15, out=codes[:, :half])
        np.right_shift(packed[:, : dim - half], 4, out=codes[:, half:])
        signed = codes.view(np.int8)
        signed -= 8
        return scale, offset, signed


INT4 = Int4Codec()
