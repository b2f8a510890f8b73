"""Codecs for token vectors: one file per codec, one table here.

To add one: write its file, give it the next free ``codec_id``, add it to `CODECS`. Ids are stored in every document and
are never used twice.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.encoding.codecs.base import Codec
from opensearch_multivector.encoding.codecs.bit import BIT
from opensearch_multivector.encoding.codecs.blob import Blob, seal, unseal
from opensearch_multivector.encoding.codecs.f16 import F16
from opensearch_multivector.encoding.codecs.f32 import F32
from opensearch_multivector.encoding.codecs.int4 import INT4
from opensearch_multivector.encoding.codecs.int8 import INT8
from opensearch_multivector.encoding.codecs.residual import RESIDUAL, ResidualCodec
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import BlobError, InputError

__all__ = ["CODECS", "DEFAULT_CODEC", "Blob", "Codec", "codec_named", "decode_blob", "encode_blob", "open_blob"]

CODECS: dict[str, Codec] = {codec.name: codec for codec in (F32, F16, INT8, INT4, BIT, *RESIDUAL)}
DEFAULT_CODEC = INT8.name
_BY_ID: dict[int, Codec] = {codec.codec_id: codec for codec in CODECS.values()}


def codec_named(name: str, codebook: Codebook | None = None) -> Codec:
    """The codec of that name, with the codebook where it works with one. Raises InputError naming those there are."""
    try:
        codec = CODECS[name]
    except KeyError:
        raise InputError(f"unknown codec {name!r}: choose one of {', '.join(CODECS)}") from None
    return replace(codec, codebook=codebook) if isinstance(codec, ResidualCodec) else codec


def encode_blob(vectors: FloatArray, codec: str = DEFAULT_CODEC, codebook: Codebook | None = None) -> bytes:
    """Token vectors of one document, (count, dim) float32 with count >= 0, to the bytes stored in `F.vectors`.

    Raises InputError on vectors that are not two-dimensional, not finite, or too large for the codec, MismatchError
    where the codec needs a codebook and gets none, or one of another dimension.
    """
    chosen = codec_named(codec, codebook)
    array = np.ascontiguousarray(vectors, np.float32)
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(f"token vectors must be an array of shape (count, dim), not {array.shape}")
    if not np.isfinite(array).all():
        raise InputError("token vectors hold NaN or infinity")
    count, dim = array.shape
    return seal(chosen.codec_id, count, dim, chosen.encode(array))


def open_blob(blob: bytes, codebook: Codebook | None = None) -> tuple[Codec, Blob]:
    """Check a blob and give its codec, with the codebook where it works with one.

    Raises BlobError on anything but a whole, unaltered blob of a known codec and of this codebook, MismatchError where
    the codec needs a codebook and none is given.
    """
    opened = unseal(blob)
    codec = _BY_ID.get(opened.codec_id)
    if codec is None:
        raise BlobError(f"token vectors of unknown codec id {opened.codec_id}; this release knows {sorted(_BY_ID)}")
    codec = codec_named(codec.name, codebook)
    codec.check(opened)
    return codec, opened


def decode_blob(blob: bytes, codebook: Codebook | None = None) -> FloatArray:
    """The token vectors, (count, dim) float32, within the codec's error. Raises as `open_blob`."""
    codec, opened = open_blob(blob, codebook)
    return codec.decode(opened.payload, opened.count, opened.dim)
