"""Terms of a single vector, one for each of its sub-vectors (Mu et al. 2018, "Towards practical visual search engine
within Elasticsearch", section 3).

A vector of d dimensions is cut into m parts and each part belongs to one of the K centroids that k-means found for this
part alone; a document's m terms are the pairs (part, centroid), and near vectors share many of them. The paper counts
those shared with the query. Here a query weighs them by the inner product of its own part with the centroid,

    score(q, x) = sum over parts p of  q_p . c(x_p)

the asymmetric distance of product quantisation (Jegou et al. 2011, section III-B), for the ``nprobe`` best centroids of
each part; the others count as the best of them that is left out. What all documents get is subtracted, so that no
weight is negative; with nprobe = K - 1 or more the order is that of the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from opensearch_multivector.encoding.blas import one_thread
from opensearch_multivector.encoding.content import Arrays, content_id
from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray
from opensearch_multivector.encoding.kmeans import affinity_blocks, kmeans
from opensearch_multivector.errors import InputError, MismatchError


@dataclass(frozen=True, slots=True)
class SubvectorCodebook:
    """``centroids``: (parts, size, dim / parts) float32."""

    centroids: FloatArray
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", content_id("subvectors", self.arrays()))

    @property
    def parts(self) -> int:
        """Sub-vectors of a vector, and so terms of a document."""
        return len(self.centroids)

    @property
    def size(self) -> int:
        """Centroids of each part."""
        return int(self.centroids.shape[1])

    @property
    def dim(self) -> int:
        """Dimensions of the vectors."""
        return int(self.parts * self.centroids.shape[2])

    def arrays(self) -> Arrays:
        """All there is to store, by name; inverse: `from_arrays`."""
        return {"centroids": np.ascontiguousarray(self.centroids, "<f4")}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> SubvectorCodebook:
        """Inverse of `arrays`: the same id. Raises InputError on arrays that are something else."""
        if "centroids" not in arrays or arrays["centroids"].ndim != 3 or not np.isfinite(arrays["centroids"]).all():
            raise InputError("these arrays are no sub-vector codebook: 'centroids' has to be there with 3 dimensions")
        return cls(np.asarray(arrays["centroids"], np.float32))

    def assign(self, vectors: FloatArray) -> IntArray:
        """Term ids, (n, dim) float32 -> (n, parts) int32: part * size + the part's nearest centroid (Euclidean).

        Raises MismatchError on another dimension.
        """
        pieces = self._pieces(vectors)
        ids = np.empty((len(vectors), self.parts), np.int32)
        for part, centroids in enumerate(self.centroids):
            with one_thread():
                for rows, affinities in affinity_blocks(pieces[:, part], centroids):
                    ids[rows, part] = affinities.argmax(axis=1) + part * self.size
        return ids

    def weights(self, query: FloatArray, nprobe: int) -> tuple[IntArray, FloatArray]:
        """What a query asks for: term ids and their weights > 0, each (at most parts * nprobe,).

        ``query``: (dim,) float32. Raises MismatchError on another dimension, InputError on nprobe < 1.
        """
        if nprobe < 1:
            raise InputError(f"nprobe has to be at least 1, not {nprobe}")
        pieces = self._pieces(query[None])[0]
        products = np.einsum("pw,psw->ps", pieces, self.centroids)
        falling = -np.sort(-products, axis=1)
        floor = falling[:, [min(nprobe, self.size - 1)]]
        gains = products - floor
        parts, codes = np.nonzero(gains > 0)
        return (parts * self.size + codes).astype(np.int32), gains[parts, codes].astype(np.float32)

    def _pieces(self, vectors: FloatArray) -> FloatArray:
        if vectors.shape[1] != self.dim:
            raise MismatchError(
                f"the vectors have {vectors.shape[1]} dimensions, sub-vector codebook {self.id} has {self.dim}: "
                "use the encoder that it was trained with"
            )
        return vectors.reshape(len(vectors), self.parts, self.centroids.shape[2])


def train_subvectors(
    sample: FloatArray,
    parts: int,
    size: int = 256,
    *,
    seed: int = 0,
    iterations: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> SubvectorCodebook:
    """Sub-vector centroids from ``sample``: (n, dim) float32 vectors. The same arguments give the same centroids.

    A part with fewer different values than ``size`` repeats its last centroid. ``progress(done, total)`` counts parts.
    Raises InputError where the dimension isn't a multiple of ``parts`` or the sample is empty.
    """
    count, dim = sample.shape
    if parts < 1 or dim % parts:
        raise InputError(f"vectors of {dim} dimensions can't be cut into {parts} equal parts")
    pieces = sample.reshape(count, parts, dim // parts)
    size = min(size, count)
    centroids = np.empty((parts, size, pieces.shape[2]), np.float32)
    for part in range(parts):
        found = kmeans(np.ascontiguousarray(pieces[:, part]), size, seed=seed, iterations=iterations)
        centroids[part, : len(found)] = found
        # No vector is assigned to a repeated one: of equals the first is taken.
        centroids[part, len(found) :] = found[-1]
        if progress is not None:
            progress(part + 1, parts)
    return SubvectorCodebook(centroids)
