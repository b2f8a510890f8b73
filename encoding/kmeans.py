"""k-means: Lloyd's iterations in blocks, spherical for inner products of unit vectors.

A vector x belongs to the centroid c of the largest c . x - |c|**2 / 2, which is the nearest in Euclidean distance. A
centroid becomes the mean of its vectors; spherical (Dhillon & Modha 2001): that mean divided by its norm, so that the
second term is the same for all and a vector belongs to the centroid of the largest cosine. A centroid that nothing
belongs to starts again at one of the vectors that are served worst.

All the time goes into one matrix product a block, which BLAS spreads over the cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray
from opensearch_multivector.errors import InputError

# Similarities held at once while vectors are compared with all centroids: 32 MB as float32.
BLOCK_SIMILARITIES = 1 << 23


def kmeans(
    sample: NDArray[np.floating[Any]],
    size: int,
    *,
    seed: int = 0,
    iterations: int = 10,
    spherical: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> FloatArray:
    """Centroids of ``sample``: (n, dim) floats -> (at most size, dim) float32, the same for the same arguments.

    A sample in half precision is widened block by block, so that a large one takes no more memory than it has.

    A centroid that no vector belongs to in the end is left out, so there are fewer than ``size`` where the sample has
    fewer different vectors. ``spherical`` expects rows of norm 1 and gives such. ``progress(done, total)`` is told of
    each iteration. Raises InputError on an empty sample or a size below 1.
    """
    if len(sample) == 0 or size < 1:
        raise InputError(f"k-means needs vectors and at least one centroid, got {len(sample)} and {size}")
    start = np.random.default_rng(seed).permutation(len(sample))[:size]
    centroids = sample[np.sort(start)].astype(np.float32)
    filled = np.ones(len(centroids), np.bool_)
    for done in range(1, iterations + 1):
        sums, counts, affinity = _gather(sample, centroids)
        filled = counts > 0
        means = sums / np.maximum(counts, 1).astype(np.float32)[:, None]
        if spherical:
            means = unit_rows(means)
        # Unit vectors that cancel out have no direction: their centroid stays.
        moved = filled & (means.any(axis=1) if spherical else True)
        centroids[moved] = means[moved]
        if done < iterations:
            empty = np.flatnonzero(~filled)
            worst = np.sort(np.argsort(affinity, kind="stable")[: len(empty)])
            centroids[empty[: len(worst)]] = sample[worst]
        if progress is not None:
            progress(done, iterations)
    return centroids[filled]


def _gather(sample: NDArray[np.floating[Any]], centroids: FloatArray) -> tuple[FloatArray, IntArray, FloatArray]:
    """Per centroid the sum (size, dim) and number (size,) of its vectors; per vector its affinity (n,) to its own."""
    sums = np.zeros_like(centroids)
    counts = np.zeros(len(centroids), np.int32)
    affinity = np.empty(len(sample), np.float32)
    for rows, affinities in affinity_blocks(sample, centroids):
        ids = affinities.argmax(axis=1)
        affinity[rows] = affinities[np.arange(len(ids)), ids]
        # Vectors of one centroid side by side, so that one pass over the block adds them up.
        order = np.argsort(ids, kind="stable")
        distinct, starts, members = np.unique(ids[order], return_index=True, return_counts=True)
        sums[distinct] += np.add.reduceat(sample[rows][order], starts, axis=0, dtype=np.float32)
        counts[distinct] += members.astype(np.int32)
    return sums, counts, affinity


def affinity_blocks(vectors: NDArray[np.floating[Any]], centroids: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
    """(rows, c . x - |c|**2 / 2 for these rows and every centroid), block by block."""
    half_norms = np.einsum("ij,ij->i", centroids, centroids) / 2
    for rows in blocks(len(vectors), len(centroids)):
        affinities: FloatArray = vectors[rows].astype(np.float32, copy=False) @ centroids.T
        affinities -= half_norms
        yield rows, affinities


def unit_rows(vectors: FloatArray) -> FloatArray:
    """Each row divided by its norm; rows of zeros stay."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    norms[norms == 0] = 1
    result: FloatArray = vectors / norms[:, None]
    return result


def blocks(count: int, size: int) -> Iterator[slice]:
    """Rows 0..count in slices whose similarities with ``size`` centroids fit `BLOCK_SIMILARITIES`."""
    rows = max(1, BLOCK_SIMILARITIES // max(size, 1))
    for start in range(0, count, rows):
        yield slice(start, min(start + rows, count))
