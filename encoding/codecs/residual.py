"""`residual1`, `residual2`, `residual4`: the nearest centroid's id, and 1, 2 or 4 bits a dimension of the rest.

ColBERTv2 (Santhanam et al. 2022, section 3.3), with the collection's codebook. With u = x / |x|, c its centroid and
b_j the bucket between the codebook's cutoffs that (u - c)_j is in,

    y = c + weights[b],    x is read back as factor * y,    factor = |x| / |y|

ColBERTv2 normalises y as it reads it; to keep the factor instead costs 4 bytes a vector, brings back norms other than
1, and spares a pass over the decoded vectors: q . x ~ factor * (q . c + q . weights[b]). The norm is exact (to float32
rounding); what the direction is off by depends on how well the codebook fits: docs/codecs.md has figures.

Payload: id of the codebook (8 bytes), n factors (f32), n centroid ids (u16 where the codebook has at most 65,536
centroids, else u32), n rows of ceil(d * nbits / 8) bytes, the first component in the lowest bits. Whole vectors are
decoded for inner products, since it is as fast: a query's products with all 8,192 centroids took 4 ms, fetching the
centroids of 2,048 vectors, which they would spare, .3 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.encoding.codecs.base import Codec
from opensearch_multivector.encoding.codecs.blob import Blob
from opensearch_multivector.encoding.codecs.columns import columns
from opensearch_multivector.encoding.codecs.directions import directions
from opensearch_multivector.encoding.codecs.packing import byte_values, pack, packed_width, unpack
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import BlobError, MismatchError

_ID_BYTES = 8


@dataclass(frozen=True, slots=True, eq=False)
class ResidualCodec(Codec):
    """See the module's text. Without a codebook it can only be asked its name and id: the rest raises MismatchError."""

    name: str
    codec_id: int
    nbits: int
    codebook: Codebook | None = None

    def check(self, blob: Blob) -> None:
        """See `Codec`. Also where another codebook wrote it. Raises MismatchError where there is no codebook."""
        codebook = self._codebook
        written = blob.payload[:_ID_BYTES].hex()
        if written != codebook.id:
            raise BlobError(f"token vectors were written with codebook {written}, the index has {codebook.id}")
        Codec.check(self, blob)
        _, ids, _ = self._columns([blob.payload], [blob.count], blob.dim)
        if blob.dim != codebook.dim or ids.max(initial=0) >= codebook.size:
            raise BlobError(f"token vectors are inconsistent: they do not fit codebook {written}, which they name")

    def payload_size(self, count: int, dim: int) -> int:
        """See `Codec`."""
        return _ID_BYTES + count * (4 + self._id_type.itemsize + packed_width(dim, self.nbits))

    def encode(self, vectors: FloatArray) -> bytes:
        """See `Codec`. Raises MismatchError where the codebook is of another dimension."""
        codebook = self._codebook
        units, norms = directions(vectors)
        ids = codebook.assign(units)
        centroids = codebook.centroids[ids]
        buckets = np.searchsorted(codebook.cutoffs[self.nbits], units - centroids)
        lengths = np.linalg.norm(centroids + codebook.weights[self.nbits][buckets], axis=1)
        factors = norms / np.where(lengths > 0, lengths, np.float32(1))
        codes = pack(buckets.astype(np.uint8), self.nbits)
        parts = factors.astype("<f4"), ids.astype(self._id_type), codes
        return bytes.fromhex(codebook.id) + b"".join(part.tobytes() for part in parts)

    def decode(self, payload: memoryview, count: int, dim: int) -> FloatArray:
        """See `Codec`."""
        factors, vectors = self._read([payload], [count], dim)
        return vectors * factors[:, None]

    def similarities(
        self, payloads: Sequence[memoryview], counts: Sequence[int], dim: int, query: FloatArray
    ) -> FloatArray:
        """See `Codec`."""
        factors, vectors = self._read(payloads, counts, dim)
        products = vectors @ query.T
        products *= factors[:, None]
        return products

    def _read(self, payloads: Sequence[memoryview], counts: Sequence[int], dim: int) -> tuple[FloatArray, FloatArray]:
        """Factors, (n,), and vectors before they are applied, (n, dim)."""
        codebook = self._codebook
        factors, ids, packed = self._columns(payloads, counts, dim)
        vectors = unpack(packed, byte_values(codebook.weights[self.nbits]))[:, :dim]
        vectors += codebook.centroids[ids]
        return factors, vectors

    def _columns(self, payloads: Sequence[memoryview], counts: Sequence[int], dim: int) -> list[NDArray[Any]]:
        layout = ("<f4", ()), (self._id_type.str, ()), ("u1", (packed_width(dim, self.nbits),))
        return columns(payloads, counts, *layout, skip=_ID_BYTES)

    @property
    def _codebook(self) -> Codebook:
        if self.codebook is None:
            raise MismatchError(f"codec {self.name!r} needs the codebook of the index, and none is given")
        return self.codebook

    @property
    def _id_type(self) -> np.dtype[Any]:
        return np.dtype("<u2" if self._codebook.size <= 1 << 16 else "<u4")


RESIDUAL = tuple(ResidualCodec(f"residual{nbits}", codec_id, nbits) for nbits, codec_id in ((1, 6), (2, 7), (4, 8)))
