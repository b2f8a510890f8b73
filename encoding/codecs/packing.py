"""Codes of 1, 2 or 4 bits in bytes, and back to the floats they stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray


def packed_width(dim: int, nbits: int) -> int:
    """Bytes of ``dim`` codes."""
    return -(-dim * nbits // 8)


def pack(codes: NDArray[np.uint8], nbits: int) -> NDArray[np.uint8]:
    """(n, dim) codes < 2**nbits -> (n, packed_width) bytes: the first code in the lowest bits, zeros after the last."""
    bits = (codes[:, :, None] >> np.arange(nbits, dtype=np.uint8)) & 1
    return np.packbits(bits.reshape(len(codes), codes.shape[1] * nbits), axis=1, bitorder="little")


def byte_values(values: FloatArray) -> FloatArray:
    """Table of what each byte stands for: ``values`` (2**nbits,) of one code -> (256, 8 / nbits) float32."""
    nbits = len(values).bit_length() - 1
    shifts = np.arange(0, 8, nbits)
    return np.ascontiguousarray(values[(np.arange(256)[:, None] >> shifts) & (len(values) - 1)], np.float32)


def unpack(packed: NDArray[np.uint8], table: FloatArray) -> FloatArray:
    """(n, packed_width) bytes -> (n, packed_width * 8 / nbits) float32: the padding of the last byte is in it.

    ``table``: of `byte_values`. `take` copies 8 to 32 bytes at a time, which no arithmetic on the bits is faster than.
    """
    # Every byte is in the table: "clip" only spares the check.
    return table.take(packed, axis=0, mode="clip").reshape(len(packed), packed.shape[1] * table.shape[1])
