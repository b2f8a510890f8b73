"""Vectors as directions and lengths."""

from __future__ import annotations

import numpy as np

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import InputError


def directions(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Vectors taken apart: (n, dim) of norm 1, rows of zeros as they are, and (n,) norms, both float32.

    Raises InputError where a norm is beyond float32.
    """
    exact = vectors.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1)
    if norms.size and norms.max() > np.finfo(np.float32).max:
        raise InputError("token vectors have norms beyond float32: use codec f32 or int8")
    exact /= np.where(norms > 0, norms, 1)[:, None]
    return exact.astype(np.float32), norms.astype(np.float32)
