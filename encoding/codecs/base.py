"""What a codec has to offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from opensearch_multivector.encoding.encoders.base import FloatArray


class Codec(Protocol):
    """Token vectors of one document to bytes and back. Stateless; one module-level instance a file."""

    name: str
    codec_id: int

    def payload_size(self, count: int, dim: int) -> int:
        """Bytes that `encode` gives for ``count`` vectors of ``dim`` dimensions."""

    def encode(self, vectors: FloatArray) -> bytes:
        """(count, dim) float32, finite -> payload."""

    def decode(self, payload: memoryview, count: int, dim: int) -> FloatArray:
        """Payload -> (count, dim) float32, within the codec's stated error."""

    def similarities(
        self, payloads: Sequence[memoryview], counts: Sequence[int], dim: int, query: FloatArray
    ) -> FloatArray:
        """Inner products of every stored vector with every query vector, without decoding more than is needed.

        ``query``: (n_query, dim) float32. Returns (sum(counts), n_query) float32, documents one after the other.
        """


class FloatCodec:
    """Vectors stored as IEEE floats of one width; little-endian, row by row."""

    def __init__(self, name: str, codec_id: int, dtype: str) -> None:
        self.name = name
        self.codec_id = codec_id
        self._dtype = np.dtype(dtype)

    def payload_size(self, count: int, dim: int) -> int:
        """See `Codec`."""
        return count * dim * self._dtype.itemsize

    def encode(self, vectors: FloatArray) -> bytes:
        """See `Codec`."""
        return np.ascontiguousarray(vectors, self._dtype).tobytes()

    def decode(self, payload: memoryview, count: int, dim: int) -> FloatArray:
        """See `Codec`."""
        return np.frombuffer(payload, self._dtype).reshape(count, dim).astype(np.float32)

    def similarities(
        self, payloads: Sequence[memoryview], counts: Sequence[int], dim: int, query: FloatArray
    ) -> FloatArray:
        """See `Codec`."""
        vectors = self.decode(memoryview(b"".join(payloads)), sum(counts), dim)
        return vectors @ query.T
