"""What a codec has to offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from opensearch_multivector.encoding.codecs.blob import Blob
from opensearch_multivector.encoding.codecs.columns import columns
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import BlobError, InputError


class Codec(ABC):
    """Token vectors of one document to bytes and back. Immutable; ``name`` and ``codec_id`` are its own for ever."""

    name: str
    codec_id: int

    def check(self, blob: Blob) -> None:
        """Raise BlobError where the payload can't be of so many vectors of this codec."""
        size = self.payload_size(blob.count, blob.dim)
        if blob.dim == 0 or len(blob.payload) != size:
            raise BlobError(
                f"token vectors are inconsistent: {blob.count} x {blob.dim} in {self.name} are {size} bytes, "
                f"the blob holds {len(blob.payload)}"
            )

    @abstractmethod
    def payload_size(self, count: int, dim: int) -> int:
        """Bytes that `encode` gives for ``count`` vectors of ``dim`` dimensions."""

    @abstractmethod
    def encode(self, vectors: FloatArray) -> bytes:
        """(count, dim) float32, finite, dim >= 1 -> payload. Raises InputError on values that the codec can't hold."""

    @abstractmethod
    def decode(self, payload: memoryview, count: int, dim: int) -> FloatArray:
        """Payload -> (count, dim) float32, within the codec's stated error."""

    @abstractmethod
    def similarities(
        self, payloads: Sequence[memoryview], counts: Sequence[int], dim: int, query: FloatArray
    ) -> FloatArray:
        """Inner products of every stored vector with every query vector, without decoding more than is needed.

        ``query``: (n_query, dim) float32. Returns (sum(counts), n_query) float32, documents one after the other.
        """


class FloatCodec(Codec):
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
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(vectors, self._dtype)
        if not np.isfinite(stored).all():
            limit = np.finfo(self._dtype).max
            raise InputError(f"token vectors exceed {limit:,.0f}, the largest in {self.name}: use codec f32 or int8")
        return stored.tobytes()

    def decode(self, payload: memoryview, count: int, dim: int) -> FloatArray:
        """See `Codec`."""
        return np.frombuffer(payload, self._dtype).reshape(count, dim).astype(np.float32)

    def similarities(
        self, payloads: Sequence[memoryview], counts: Sequence[int], dim: int, query: FloatArray
    ) -> FloatArray:
        """See `Codec`."""
        (vectors,) = columns(payloads, counts, (self._dtype.str, (dim,)))
        return vectors.astype(np.float32, copy=False) @ query.T
