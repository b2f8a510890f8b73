"""Codebooks of random centroids, for tests that need one and don't care which."""

from __future__ import annotations

from functools import cache

import numpy as np

from opensearch_multivector.encoding.codebook import NBITS, Codebook
from opensearch_multivector.encoding.kmeans import unit_rows


@cache
def tiny_codebook(dim: int, size: int = 7, seed: int = 0) -> Codebook:
    """``size`` random directions; residuals as they are of other random directions."""
    random = np.random.default_rng(seed)
    centroids = unit_rows(random.normal(size=(size, dim)).astype(np.float32))
    residuals = random.normal(size=500) * 0.7 / np.sqrt(dim)
    return Codebook(
        centroids,
        np.full(size, 1 / size, np.float32),
        {nbits: np.quantile(residuals, np.arange(1, 2**nbits) / 2**nbits).astype(np.float32) for nbits in NBITS},
        {nbits: np.quantile(residuals, (np.arange(2**nbits) + 0.5) / 2**nbits).astype(np.float32) for nbits in NBITS},
        0.5,
    )
