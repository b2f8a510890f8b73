"""How a codebook is made: its size, spherical k-means on a sample, the residuals' quantiles on tokens held out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.codebook import NBITS, Codebook
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.kmeans import kmeans, unit_rows
from opensearch_multivector.errors import InputError

LEAST_SIZE, GREATEST_SIZE = 16, 1 << 18

# Sampled tokens a centroid needs, else it is rather a token than the mean of some. On SciFact, 8,192 centroids find
# .987 of exact MaxSim's top 10 among 100 candidates with 40 sampled tokens each, .980 with 21.
TOKENS_A_CENTROID = 32

# Of the sample: what is kept out of training, and the most that quantiles are taken of.
_HELD_OUT, _MOST_HELD_OUT = 20, 1 << 15

# How far from 1 the norm of a unit vector may be that was rounded to half precision.
_UNIT = 2e-3


def codebook_size(token_count: int, sample_count: int | None = None) -> int:
    """Centroids for a collection of ``token_count`` vectors of which ``sample_count`` are there to train on.

    PLAID's rule (Santhanam et al. 2022, section 4.1): 16 * sqrt(token_count), rounded down to a power of two; between
    `LEAST_SIZE` and `GREATEST_SIZE`, and no more than the sample has tokens / `TOKENS_A_CENTROID`.
    """
    size = min(16 * math.sqrt(max(token_count, 1)), GREATEST_SIZE)
    if sample_count is not None:
        size = min(size, sample_count / TOKENS_A_CENTROID)
    return max(LEAST_SIZE, 1 << int(math.log2(max(size, 1))))


def train_codebook(
    sample: NDArray[np.floating[Any]],
    size: int,
    *,
    tokens_per_document: float = 1.0,
    seed: int = 0,
    iterations: int = 5,
    progress: Callable[[int, int], None] | None = None,
) -> Codebook:
    """Codebook of at most ``size`` centroids from ``sample``: (n, dim) token vectors, float32 or float16.

    ``tokens_per_document``: how many of them a document of the sample has on average. The sample's last twentieth is
    held out: for its figures to hold for documents to come, let the documents of the sample be in random order. The
    same arguments give the same codebook on the same machine. Fewer centroids where the sample has fewer different
    vectors. Raises InputError where the sample has no vector other than zero.
    """
    sample = _directions(sample)
    held_out = min(len(sample) // _HELD_OUT, _MOST_HELD_OUT)
    training, test = (sample[:-held_out], sample[-held_out:]) if held_out else (sample, sample)
    centroids = kmeans(training, size, seed=seed, iterations=iterations, spherical=True, progress=progress)
    # Figures are of the ids that the centroids give as they are stored, rounded.
    bare = Codebook(centroids, np.zeros(len(centroids), np.float32), {}, {}, 0.0)
    counts = np.bincount(bare.assign(training), minlength=bare.size)
    own = bare.centroids[bare.assign(test)]
    residuals = test - own
    return replace(
        bare,
        shares=(counts / len(training)).astype(np.float32),
        cutoffs={nbits: _quantiles(residuals, np.arange(1, 2**nbits) / 2**nbits) for nbits in NBITS},
        weights={nbits: _quantiles(residuals, (np.arange(2**nbits) + 0.5) / 2**nbits) for nbits in NBITS},
        mean_similarity=float(np.einsum("ij,ij->i", test, own).mean(dtype=np.float64)),
        tokens_per_document=tokens_per_document,
    )


def _quantiles(values: FloatArray, at: NDArray[np.float64]) -> FloatArray:
    return np.quantile(values, at).astype(np.float32)


def _directions(sample: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Rows of norm 1, without those of zeros; the sample itself where it is so already, since it may be large."""
    norms = np.sqrt(np.einsum("ij,ij->i", sample, sample, dtype=np.float32, casting="same_kind"))
    if not norms.any():
        raise InputError(f"a codebook can't be trained on {len(sample)} vectors that are all zero")
    if np.abs(norms - 1).max() < _UNIT:
        return sample
    return unit_rows(sample[norms > 0].astype(np.float32, copy=False))
