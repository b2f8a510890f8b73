"""Vectors as signed bytes whose inner products rank as those of the vectors: k-NN's `data_type: byte`.

A stored component x becomes round(127 * x / limit), cut at -127 and 127: off by at most limit / 254 unless cut. The
limit is the same for all documents, since an engine's inner product has no place for a scale of each. Components of
vectors of norm 1 lie within 1; those of fixed dimensional encodings seldom beyond (SciFact: the largest is 1.22). A
query has a scale of its own, which multiplies all its scores alike: its largest component becomes 127.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray

_MOST = 127


def stored_bytes(vectors: FloatArray, limit: float = 1.0) -> NDArray[np.int8]:
    """(..., dim) float32 to as many bytes."""
    scaled: FloatArray = np.rint(vectors * np.float32(_MOST / limit))
    return scaled.clip(-_MOST, _MOST).astype(np.int8)


def query_bytes(vector: FloatArray, limit: float = 1.0) -> tuple[NDArray[np.int8], float]:
    """(dim,) float32 to bytes, and what their inner product with stored bytes is multiplied by to be the vectors'."""
    most = float(np.abs(vector).max(initial=0))
    if most == 0:
        return np.zeros(vector.shape, np.int8), 0.0
    return np.rint(vector * np.float32(_MOST / most)).astype(np.int8), most * limit / _MOST**2
