"""`int8`: scalar quantisation with a scale and an offset per vector.

As LVQ (Aguerrebere et al. 2023, "Similarity search in the blink of an eye with compressed indices", section 3),
less the subtraction of the data set's mean, so that no state is needed to read a document: with lo and hi the least and
greatest component of the vector,

    scale = (hi - lo) / 255,  offset = lo + 128 * scale,  code = round((x - offset) / scale) in [-128, 127]

and x is read back as offset + scale * code: off by at most scale / 2 a component (plus float32 rounding). An inner
product needs no decoded vector:  q . x = offset * sum(q) + scale * (q . code).

Payload: n scales (f32), n offsets (f32), n * d codes (signed bytes): d + 8 bytes a vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opensearch_multivector.encoding.codecs.base import Codec
from opensearch_multivector.encoding.codecs.columns import columns
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import InputError

_LEVELS = np.float32(255)
_SHIFT = np.float32(128)


class Int8Codec(Codec):
    """See the module's text."""

    name = "int8"
    codec_id = 3

    def payload_size(self, count: int, dim: int) -> int:
        """See `Codec`."""
        return count * (dim + 8)

    def encode(self, vectors: FloatArray) -> bytes:
        """See `Codec`."""
        if vectors.size == 0:
            return np.zeros(2 * len(vectors), "<f4").tobytes()
        low = vectors.min(axis=1)
        # In float64: hi - lo of two huge finite floats may not be finite in float32.
        scale = ((vectors.max(axis=1).astype(np.float64) - low) / _LEVELS).astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            offset = low + _SHIFT * scale
            greatest = offset + (_SHIFT - 1) * scale
        if not np.isfinite(greatest).all():
            raise InputError("token vectors range over more than float32 holds: use codec f32")
        divisor = np.where(scale > 0, scale, np.float32(1))
        codes = np.rint((vectors - offset[:, None]) / divisor[:, None]).clip(-128, 127).astype(np.int8)
        return b"".join((scale.astype("<f4").tobytes(), offset.astype("<f4").tobytes(), codes.tobytes()))

    def decode(self, payload: memoryview, count: int, dim: int) -> FloatArray:
        """See `Codec`."""
        scale, offset, codes = columns([payload], [count], ("<f4", ()), ("<f4", ()), ("i1", (dim,)))
        vectors: FloatArray = codes * scale[:, None] + offset[:, None]
        return vectors

    def similarities(
        self, payloads: Sequence[memoryview], counts: Sequence[int], dim: int, query: FloatArray
    ) -> FloatArray:
        """See `Codec`."""
        scale, offset, codes = columns(payloads, counts, ("<f4", ()), ("<f4", ()), ("i1", (dim,)))
        products = codes.astype(np.float32) @ query.T
        products *= scale[:, None]
        products += offset[:, None] * query.sum(axis=1)
        return products


INT8 = Int8Codec()
