"""Codecs for token vectors: one file per codec, one table here.

To add one: write its file, give it the next free ``codec_id``, add it to `CODECS`. Ids are stored in every document and
are never used twice.
"""

from __future__ import annotations

import numpy as np

from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.encoding.codecs.base import Codec
from opensearch_multivector.encoding.codecs.blob import Blob, seal, unseal
from opensearch_multivector.encoding.codecs.f16 import F16
from opensearch_multivector.encoding.codecs.f32 import F32
from opensearch_multivector.encoding.codecs.int8 import INT8
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import BlobError, InputError

__all__ = ["CODECS", "DEFAULT_CODEC", "Blob", "Codec", "codec_named", "decode_blob", "encode_blob", "open_blob"]

CODECS: dict[str, Codec] = {codec.name: codec for codec in (F32, F16, INT8)}
DEFAULT_CODEC = INT8.name
_BY_ID: dict[int, Codec] = {codec.codec_id: codec for codec in CODECS.values()}


def codec_named(name: str, codebook: Codebook | None = None) -> Codec:
    """The codec of that name. Raises InputError naming those there are."""
    try:
        return CODECS[name]
    except KeyError:
        raise InputError(f"unknown codec {name!r}: choose one of {', '.join(CODECS)}") from None


def encode_blob(vectors: FloatArray, codec: str = DEFAULT_CODEC, codebook: Codebook | None = None) -> bytes:
    """Token vectors of one document, (count, dim) float32 with count >= 0, to the bytes stored in `F.vectors`.

    Raises InputError on vectors that are not two-dimensional, not finite, or too large for the codec.
    """
    chosen = codec_named(codec, codebook)
    array = np.ascontiguousarray(vectors, np.float32)
    if array.ndim != 2:
        raise InputError(f"token vectors must be an array of shape (count, dim), not {array.shape}")
    if not np.isfinite(array).all():
        raise InputError("token vectors hold NaN or infinity")
    if codec == F16.name and array.size and np.abs(array).max() > np.finfo(np.float16).max:
        raise InputError("token vectors exceed half precision (65,504): use codec f32 or int8")
    count, dim = array.shape
    return seal(chosen.codec_id, count, dim, chosen.encode(array))


def open_blob(blob: bytes, codebook: Codebook | None = None) -> tuple[Codec, Blob]:
    """Check a blob and name its codec. Raises BlobError on anything but a whole, unaltered blob of a known codec."""
    opened = unseal(blob)
    codec = _BY_ID.get(opened.codec_id)
    if codec is None:
        raise BlobError(f"token vectors of unknown codec id {opened.codec_id}; this release knows {sorted(_BY_ID)}")
    size = codec.payload_size(opened.count, opened.dim)
    if len(opened.payload) != size:
        raise BlobError(
            f"token vectors are inconsistent: {opened.count} x {opened.dim} in {codec.name} are {size} bytes, "
            f"the blob holds {len(opened.payload)}"
        )
    return codec, opened


def decode_blob(blob: bytes, codebook: Codebook | None = None) -> FloatArray:
    """The token vectors, (count, dim) float32, within the codec's error. Raises BlobError as `open_blob`."""
    codec, opened = open_blob(blob, codebook)
    return codec.decode(opened.payload, opened.count, opened.dim)
