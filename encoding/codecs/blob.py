"""The envelope that every codec's bytes travel in.

Little-endian, no padding::

    offset  size  content
    0       4     magic, b"OSMV"
    4       1     format version, 1
    5       1     codec id
    6       2     reserved, 0
    8       4     vector count n, unsigned
    12      4     dimension d, unsigned
    16      ...   payload, as the codec lays it out
    end-4   4     CRC-32C (Castagnoli) of everything before it

The payload starts at a multiple of 16, so that a reader in another language can load it with aligned SIMD.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.errors import BlobError

MAGIC = b"OSMV"
BLOB_VERSION = 1
_HEADER = struct.Struct("<4sBBHII")
_CRC = struct.Struct("<I")
HEADER_SIZE = _HEADER.size
OVERHEAD = HEADER_SIZE + _CRC.size


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob taken apart: ``payload`` is a view into the original bytes, not a copy."""

    codec_id: int
    count: int
    dim: int
    payload: memoryview


def seal(codec_id: int, count: int, dim: int, payload: bytes) -> bytes:
    """Put the envelope around a codec's payload."""
    body = _HEADER.pack(MAGIC, BLOB_VERSION, codec_id, 0, count, dim) + payload
    return body + _CRC.pack(google_crc32c.value(body))


def leave_out_infinite(scores: NDArray[np.float32], errors: dict[int, BlobError]) -> None:
    """Count blobs whose score is no finite number among those that can't be read: whoever wrote them made them so.

    Else a damaged document would stand above all others, or, as NaN, anywhere.
    """
    for position in np.flatnonzero(~np.isfinite(scores)).tolist():
        scores[position] = np.nan
        errors.setdefault(position, BlobError("what is stored holds NaN, infinity, or numbers too large to be scored"))


def unseal(blob: bytes) -> Blob:
    """Check the envelope and take it off.

    Raises BlobError on bytes that are cut, altered, of another format or of an unknown version. Whether the payload has
    the length that its codec wants is for the codec's caller to check: the envelope does not know it.
    """
    if len(blob) < OVERHEAD:
        raise BlobError(f"token vectors are cut: {len(blob)} bytes, an empty blob has {OVERHEAD}")
    magic, version, codec_id, _, count, dim = _HEADER.unpack_from(blob)
    if magic != MAGIC:
        raise BlobError(f"not a token-vector blob: starts with {magic!r}, not {MAGIC!r}")
    if version != BLOB_VERSION:
        raise BlobError(f"token vectors of format version {version}; this release reads version {BLOB_VERSION}")
    (expected,) = _CRC.unpack_from(blob, len(blob) - _CRC.size)
    if google_crc32c.value(blob[: -_CRC.size]) != expected:
        raise BlobError("token vectors are cut or altered: CRC-32C does not match")
    return Blob(codec_id, count, dim, memoryview(blob)[HEADER_SIZE : -_CRC.size])
