"""Codebook: centroids of token vectors, which make of any vector a term and of its residual a few bits.

With centroids c_1..c_K of norm 1, a token vector x belongs to the centroid of the largest inner product c . x. The ids
are the terms of the `codes` first stage; the residual x - c is what the `residual` codec quantises, each component to
one of 2**nbits buckets between the ``cutoffs`` and back to the bucket's ``weight``: quantiles of the residuals'
components, over all dimensions (Santhanam et al. 2022, "ColBERTv2", section 3.3).

Centroids are kept in half precision: on SciFact's token vectors (384 dimensions, 1,024 centroids) 99.96 % of tokens
have the same centroid as with float32, and half the bytes travel. The ``id`` is a hash of all that is stored, so what
was written with one codebook is never read with another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.blas import one_thread
from opensearch_multivector.encoding.content import Arrays, content_id
from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray
from opensearch_multivector.encoding.kmeans import blocks
from opensearch_multivector.errors import InputError, MismatchError

NBITS = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Codebook:
    """Centroids and what is known of the tokens they were trained on. Made by `train_codebook` or `from_arrays`.

    ``centroids``: (size, dim) float32, rows of norm 1 within 2**-11. ``shares``: (size,) float32, the share of the
    training tokens that each centroid has. ``cutoffs[nbits]``: (2**nbits - 1,) and ``weights[nbits]``: (2**nbits,)
    float32, rising. ``mean_similarity``: of tokens that were held out from training to their centroids.
    ``tokens_per_document``: token vectors that a document of the collection has on average.
    """

    centroids: FloatArray
    shares: FloatArray
    cutoffs: Mapping[int, FloatArray]
    weights: Mapping[int, FloatArray]
    mean_similarity: float
    tokens_per_document: float = 1.0
    id: str = field(init=False)

    def __post_init__(self) -> None:
        # What is read back from the cluster is what was trained, to the bit.
        object.__setattr__(self, "centroids", np.ascontiguousarray(self.centroids, "<f2").astype(np.float32))
        object.__setattr__(self, "id", content_id("codebook", self.arrays()))

    @property
    def size(self) -> int:
        """Number of centroids."""
        return len(self.centroids)

    @property
    def dim(self) -> int:
        """Dimensions of the token vectors."""
        return int(self.centroids.shape[1])

    def arrays(self) -> Arrays:
        """All there is to store, by name; inverse: `from_arrays`."""
        arrays: dict[str, NDArray[Any]] = {
            "centroids": self.centroids.astype("<f2"),
            "shares": np.ascontiguousarray(self.shares, "<f4"),
            "mean_similarity": np.array([self.mean_similarity], "<f8"),
            "tokens_per_document": np.array([self.tokens_per_document], "<f8"),
        }
        arrays |= {f"cutoffs_{nbits}": np.ascontiguousarray(values, "<f4") for nbits, values in self.cutoffs.items()}
        arrays |= {f"weights_{nbits}": np.ascontiguousarray(values, "<f4") for nbits, values in self.weights.items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Codebook:
        """Inverse of `arrays`: the same id. Raises InputError naming the array that is missing or misshapen."""
        shapes = {"centroids": 2, "shares": 1, "mean_similarity": 1, "tokens_per_document": 1}
        shapes |= {f"{kind}_{nbits}": 1 for kind in ("cutoffs", "weights") for nbits in NBITS}
        for name, ndim in shapes.items():
            if name not in arrays or arrays[name].ndim != ndim or not np.isfinite(arrays[name]).all():
                raise InputError(f"these arrays are no codebook: {name!r} has to be there with {ndim} dimension(s)")
        return cls(
            centroids=arrays["centroids"],
            shares=np.asarray(arrays["shares"], np.float32),
            cutoffs={nbits: np.asarray(arrays[f"cutoffs_{nbits}"], np.float32) for nbits in NBITS},
            weights={nbits: np.asarray(arrays[f"weights_{nbits}"], np.float32) for nbits in NBITS},
            mean_similarity=float(arrays["mean_similarity"][0]),
            tokens_per_document=float(arrays["tokens_per_document"][0]),
        )

    def assign(self, vectors: NDArray[np.floating[Any]]) -> IntArray:
        """Id of each vector's nearest centroid, of equals the lowest: (n, dim) floats -> (n,) int32.

        Works in blocks: memory does not grow with n. Raises MismatchError on another dimension.
        """
        ids = np.empty(len(vectors), np.int32)
        for rows, similarities in self._similarities(vectors):
            ids[rows] = similarities.argmax(axis=1)
        return ids

    def nearest(self, vectors: FloatArray, nprobe: int) -> tuple[IntArray, FloatArray]:
        """The ``nprobe`` nearest centroids of each vector, nearest first, and their inner products with it.

        (n, dim) float32 -> ids (n, nprobe) int32 and similarities (n, nprobe) float32; fewer columns where the codebook
        has fewer centroids. Raises MismatchError on another dimension, InputError on nprobe < 1.
        """
        if nprobe < 1:
            raise InputError(f"nprobe has to be at least 1, not {nprobe}")
        width = min(nprobe, self.size)
        ids = np.empty((len(vectors), width), np.int32)
        scores = np.empty((len(vectors), width), np.float32)
        for rows, similarities in self._similarities(vectors):
            best = np.argpartition(-similarities, width - 1, axis=1)[:, :width]
            values = np.take_along_axis(similarities, best, axis=1)
            order = np.lexsort((best, -values), axis=1)
            ids[rows] = np.take_along_axis(best, order, axis=1)
            scores[rows] = np.take_along_axis(values, order, axis=1)
        return ids, scores

    def _similarities(self, vectors: NDArray[np.floating[Any]]) -> Iterator[tuple[slice, FloatArray]]:
        if vectors.shape[1] != self.dim:
            raise MismatchError(
                f"the vectors have {vectors.shape[1]} dimensions, codebook {self.id} has {self.dim}: "
                "use the encoder that it was trained with"
            )
        for rows in blocks(len(vectors), self.size):
            with one_thread():
                similarities: FloatArray = vectors[rows].astype(np.float32, copy=False) @ self.centroids.T
            yield rows, similarities
