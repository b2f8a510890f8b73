"""MUVERA's fixed dimensional encodings: one vector whose inner product approximates MaxSim
(Dhulipala et al. 2024, "MUVERA: Multi-Vector Retrieval via Fixed Dimensional Encodings", section 2).

In each of ``r_reps`` repetitions ``k_sim`` random hyperplanes (SimHash) cut the space into 2**k_sim clusters. With Q_c
and D_c the query's and the document's vectors in cluster c, and S the repetition's inner projection to ``dim_proj``:

    query part c    = sum of S q over Q_c              (an empty cluster is zero)
    document part c = mean of S d over D_c             (an empty cluster takes the vector that lies nearest to it, by
                                                        the hyperplanes that separate them; of several the first)
    score = 1 / r_reps * sum over repetitions and clusters of query part . document part

which is sum_i q_i . mean(those d in q_i's cluster): MaxSim where the cluster holds the best d alone. The encodings are
the concatenated parts, the query's carries the 1 / r_reps. ``dim_final``: a count sketch of them to fewer dimensions
(each goes with a random sign into one of these), which keeps inner products in expectation.

Two improvements on the paper, both without any training; either can be left out (``directions="random"``,
``center=False``: the paper's definition):

- ``directions="orthogonal"``: hyperplanes and projections are columns of random rotations instead of Gaussian and +-1
  matrices. They overlap less, so a repetition tells more that is new.
- ``center``: the document's mean m is kept apart, exactly, in ``dim`` dimensions of its own, and each part holds what
  is left, S (mean - m): for every q it holds that max_j q . d_j = q . m + max_j q . (d_j - m). A projection's error
  grows with the length of what it projects, and the vectors of one text have most of their length in common. The mean
  is then stretched to the length of the document's vectors (root mean square): the encoding averages inside a cluster
  and falls short of the maximum by more the more a document's vectors differ, which is when their mean is short.
  A document of one vector is scored exactly.

Share of exact MaxSim's ten best among the best 100 / 300, SciFact, MiniLM's vectors (dim 384), k_sim 4, dim_proj 16:

    r_reps 20, paper                      5,120 dimensions   .888 / .965
    r_reps 20, orthogonal                 5,120              .921 / .985
    r_reps 18, orthogonal, centred        4,992              .947 / .990
    r_reps  8, orthogonal, centred        2,432              .938 / .988
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding import draws
from opensearch_multivector.encoding.blas import one_thread
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.encoders.pooling import normalised
from opensearch_multivector.errors import InputError

DIRECTIONS = ("orthogonal", "random")
MAX_K_SIM = 12

# Streams of `draws`: part of what is stored, never renumbered.
_PLANES, _PROJECTION, _BUCKETS, _SIGNS = range(4)
# Projected values held at once, so that memory stays bounded whatever the batch (16 MB, and as much again sorted).
_BLOCK_VALUES = 4_000_000


@dataclass(frozen=True, slots=True)
class FixedDimensionalEncoding:
    """Parameters as in the module's text, named as in OpenSearch k-NN's pull request 3164.

    ``dim``: of the token vectors. ``dim_proj``: 0, or anything not below ``dim``, projects nothing. ``dim_final``: 0:
    no final projection. Raises InputError on values out of range.
    """

    dim: int
    k_sim: int = 4
    dim_proj: int = 16
    r_reps: int = 18
    dim_final: int = 0
    directions: str = DIRECTIONS[0]
    center: bool = True
    seed: int = 42

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("dim", self.dim, 1, None),
            ("k_sim", self.k_sim, 0, MAX_K_SIM),
            ("dim_proj", self.dim_proj, 0, None),
            ("r_reps", self.r_reps, 1, None),
            ("dim_final", self.dim_final, 0, None),
            ("seed", self.seed, 0, 2**64 - 1),
        ):
            if value < low or (high is not None and value > high):
                upto = f"to {high}" if high is not None else "up"
                raise InputError(f"{name} of an FDE must be from {low} {upto}, it is {value}")
        if self.directions not in DIRECTIONS:
            raise InputError(f"directions of an FDE are {' or '.join(DIRECTIONS)}, not {self.directions!r}")

    @property
    def size(self) -> int:
        """Dimensions of an encoding."""
        return (self.dim if self.center else 0) + (self.dim_final or self._parts)

    @property
    def clusters(self) -> int:
        """Of one repetition."""
        return 1 << self.k_sim

    @property
    def projected(self) -> int:
        """Dimensions of one cluster's part."""
        return self.dim_proj if 0 < self.dim_proj < self.dim else self.dim

    @property
    def _parts(self) -> int:
        return self.r_reps * self.clusters * self.projected

    def query(self, vectors: FloatArray) -> FloatArray:
        """(n_query, dim) float32 to (size,) float32; zero where there are no vectors."""
        projected, codes = self._project(vectors)
        parts = np.zeros((self.r_reps, self.clusters, self.projected), np.float32)
        np.add.at(parts, (np.arange(self.r_reps)[None, :], codes), projected)
        rest = self._finally(parts.reshape(1, -1) / np.float32(self.r_reps))[0]
        return np.concatenate([vectors.sum(axis=0), rest]) if self.center else rest

    def documents(self, vectors: FloatArray, counts: Sequence[int]) -> FloatArray:
        """Encode documents whose vectors lie one after the other.

        ``vectors``: (sum(counts), dim) float32. Returns (len(counts), size) float32, zero where a count is 0.
        """
        encoded = np.zeros((len(counts), self.size), np.float32)
        with one_thread():
            for rows, part, lengths in self._blocks(vectors, np.asarray(counts, np.intp)):
                encoded[rows] = self._block(part, lengths)
        return encoded

    def _blocks(
        self, vectors: FloatArray, counts: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.intp], FloatArray, NDArray[np.intp]]]:
        """The documents that have vectors, some at a time: their rows, vectors and counts."""
        rows = np.flatnonzero(counts)
        ends = np.cumsum(counts)
        block = max(1, _BLOCK_VALUES // (self.r_reps * self.projected))
        first = 0
        while first < len(rows):
            start = int(ends[rows[first]] - counts[rows[first]])
            last = max(first + 1, int(np.searchsorted(ends[rows], start + block, side="right")))
            taken = rows[first:last]
            yield taken, vectors[start : int(ends[taken[-1]])], counts[taken]
            first = last

    def _block(self, vectors: FloatArray, counts: NDArray[np.intp]) -> FloatArray:
        """As `documents`, where no count is 0 and one matrix holds all."""
        projected, codes = self._project(vectors)
        parts = self._means(projected, codes, counts)
        if not self.center:
            return self._finally(parts.reshape(len(counts), -1))
        starts = np.cumsum(counts) - counts
        means = (np.add.reduceat(vectors, starts, axis=0) / counts[:, None]).astype(np.float32)
        lengths = np.sqrt(np.add.reduceat(np.square(vectors).sum(axis=1), starts) / counts)
        shift = np.add.reduceat(projected, starts, axis=0) / counts[:, None, None].astype(np.float32)
        parts -= shift[:, :, None, :]
        stretched = normalised(means) * lengths[:, None].astype(np.float32)
        return np.concatenate([stretched, self._finally(parts.reshape(len(counts), -1))], axis=1)

    def _project(self, vectors: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
        """Per vector and repetition the inner projection (n, r_reps, projected) and the cluster (n, r_reps)."""
        planes, projection = _matrices(self)
        codes = np.zeros((len(vectors), self.r_reps), np.intp)
        above = (vectors @ planes > 0).reshape(len(vectors), self.r_reps, self.k_sim)
        for bit in range(self.k_sim):
            codes |= above[:, :, bit].astype(np.intp) << bit
        if projection is None:
            shape = (len(vectors), self.r_reps, self.dim)
            return np.broadcast_to(vectors[:, None, :], shape), codes
        return (vectors @ projection).reshape(len(vectors), self.r_reps, self.projected), codes

    def _means(self, projected: FloatArray, codes: NDArray[np.intp], counts: NDArray[np.intp]) -> FloatArray:
        """(len(counts), r_reps, clusters, projected): each cluster's mean, or the nearest vector."""
        n, slots = len(counts), len(counts) * self.r_reps * self.clusters
        document = np.repeat(np.arange(n), counts)
        slot = ((document[:, None] * self.r_reps + np.arange(self.r_reps)) * self.clusters + codes).reshape(-1)
        # Sorted by slot, the vectors of a cluster lie together, the first one first.
        order = np.argsort(slot, kind="stable")
        starts = np.flatnonzero(np.diff(slot[order], prepend=-1))
        filled = slot[order[starts]]
        sizes = np.diff(starts, append=len(order)).astype(np.float32)
        rows = projected.reshape(-1, self.projected)
        means = np.zeros((slots, self.projected), np.float32)
        means[filled] = np.add.reduceat(rows[order], starts, axis=0) / sizes[:, None]
        nearest = self._nearest(filled, order[starts] // self.r_reps, slots, len(document))
        empty = np.ones(slots, bool)
        empty[filled] = False
        gaps = np.flatnonzero(empty)
        means[gaps] = rows[nearest[gaps] * self.r_reps + gaps // self.clusters % self.r_reps]
        return means.reshape(n, self.r_reps, self.clusters, self.projected)

    def _nearest(self, filled: NDArray[np.intp], first: NDArray[np.intp], slots: int, n: int) -> NDArray[np.intp]:
        """For each slot the vector of the same document and repetition that the fewest hyperplanes part from it.

        ``filled``: slots with vectors, ``first``: of each the first; of ``n`` vectors in all.
        """
        # distance * n + vector, smallest over the clusters: one step along each bit in turn reaches every cluster.
        cost = np.full(slots, (self.k_sim + 1) * n, np.intp)
        cost[filled] = first
        cube = cost.reshape(-1, *(2,) * self.k_sim)
        for axis in range(1, self.k_sim + 1):
            low, high = cube.take(0, axis), cube.take(1, axis)
            cube = np.stack([np.minimum(low, high + n), np.minimum(high, low + n)], axis)
        return cube.reshape(-1) % n

    def _finally(self, parts: FloatArray) -> FloatArray:
        if not self.dim_final:
            return parts
        buckets, signs = _sketch(self)
        sketched = np.zeros((len(parts), self.dim_final), np.float32)
        for row, values in zip(sketched, parts * signs, strict=True):
            row += np.bincount(buckets, values, self.dim_final).astype(np.float32)
        return sketched


@lru_cache(maxsize=8)
def _matrices(fde: FixedDimensionalEncoding) -> tuple[FloatArray, FloatArray | None]:
    """Hyperplanes (dim, r_reps * k_sim) and inner projections (dim, r_reps * projected), repetition by repetition."""
    n_planes, n_projected = fde.r_reps * fde.k_sim, fde.r_reps * fde.projected
    drawn = fde.projected < fde.dim
    projection = None
    if fde.directions == "random":
        planes = draws.gaussian((fde.dim, n_planes), fde.seed, _PLANES)
        if drawn:
            projection = draws.signs((fde.dim, n_projected), fde.seed, _PROJECTION) / np.float32(np.sqrt(fde.projected))
    else:
        planes = draws.orthogonal(fde.dim, n_planes, fde.seed, _PLANES)
        if drawn:
            scale = np.float32(np.sqrt(fde.dim / fde.projected))
            projection = draws.orthogonal(fde.dim, n_projected, fde.seed, _PROJECTION) * scale
    return planes, projection


@lru_cache(maxsize=8)
def _sketch(fde: FixedDimensionalEncoding) -> tuple[NDArray[np.intp], FloatArray]:
    """For each dimension of the parts where it goes and with which sign."""
    return draws.below(fde.dim_final, fde._parts, fde.seed, _BUCKETS), draws.signs((fde._parts,), fde.seed, _SIGNS)
