"""Ward's hierarchical clustering of a document's tokens.

Two clusters of n and m vectors with means a and b cost n * m / (n + m) * |a - b|**2 to merge: by so much the squared
distances of vectors to the means of their clusters grow (Ward 1963). The cheapest pair merges, again and again, until
as many clusters are left as are wanted.

Pairs that are each other's nearest can all merge at once, since no merge makes another pair cheaper than the cheaper
of the two (the cost is reducible: Murtagh & Contreras 2012, "Algorithms for hierarchical clustering: an overview"). So
a document takes some twenty rounds of matrix products instead of one per merge; the cheapest merges are picked in the
end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.blas import one_thread
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.reductions.merging import group_sums

# Vectors compared each with each. Longer documents are first clustered window by window, to half as many a pass, so
# that time and memory grow with the length and not with its square.
WINDOW = 2048


def ward(vectors: FloatArray, count: int) -> NDArray[np.intp]:
    """The cluster of each vector: (n, dim) float32 -> (n,), ``min(n, count)`` different numbers; count >= 1.

    The same whatever the order of the vectors, up to ties; documents beyond `WINDOW` tokens aside.
    """
    groups = np.arange(len(vectors))
    sums, sizes = vectors, np.ones(len(vectors), np.float32)
    with one_thread():
        while len(sums) > count:
            target = count if len(sums) <= WINDOW else max(count, -(-len(sums) // 2))
            clusters = _by_windows(sums, sizes, target)
            _, numbers = np.unique(clusters, return_inverse=True)
            sums = group_sums(sums, numbers)
            sizes = np.bincount(numbers, sizes).astype(np.float32)
            groups = numbers[groups]
    return groups


def _by_windows(sums: FloatArray, sizes: FloatArray, count: int) -> NDArray[np.intp]:
    edges = np.linspace(0, len(sums), -(-len(sums) // WINDOW) + 1).astype(int)
    counts = np.diff(edges * count // len(sums))
    return np.concatenate(
        [
            _clusters(sums[start:end], sizes[start:end], own) + start
            for start, end, own in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
    )


def _clusters(sums: FloatArray, sizes: FloatArray, count: int) -> NDArray[np.intp]:
    """The first row of each row's cluster. Rows stand for clusters of ``sizes`` vectors that add up to ``sums``."""
    surplus = len(sums) - count
    ids = np.arange(len(sums))
    parents = ids.copy()
    costs = np.empty(0, np.float32)
    seconds = np.empty(0, np.intp)
    while True:
        pairs = _costs(sums, sizes)
        nearest = pairs.argmin(axis=1)
        least = pairs[np.arange(len(nearest)), nearest]
        if len(costs) >= surplus and (surplus == 0 or np.partition(costs, surplus - 1)[surplus - 1] <= least.min()):
            break
        mutual = (nearest[nearest] == np.arange(len(nearest))) & (np.arange(len(nearest)) < nearest)
        first, second = np.flatnonzero(mutual), nearest[mutual]
        parents[ids[second]] = ids[first]
        costs = np.concatenate([costs, least[first]])
        seconds = np.concatenate([seconds, ids[second]])
        sums, sizes = sums.copy(), sizes.copy()
        sums[first] += sums[second]
        sizes[first] += sizes[second]
        left = np.delete(np.arange(len(ids)), second)
        sums, sizes, ids = sums[left], sizes[left], ids[left]
    undone = seconds[np.argsort(costs, kind="stable")[surplus:]]
    parents[undone] = undone
    while (parents != parents[parents]).any():
        parents = parents[parents]
    return parents


def _costs(sums: FloatArray, sizes: FloatArray) -> FloatArray:
    """What it costs to merge each with each: (k, k) float32, symmetric, infinite on the diagonal."""
    means = sums / sizes[:, None]
    products = means @ means.T
    squares = products.diagonal()
    costs: FloatArray = squares[:, None] + squares - 2 * products
    costs *= sizes[:, None] * sizes / (sizes[:, None] + sizes)
    # To the last bit, or a circle of equal costs could leave no pair that is each other's nearest.
    costs = np.minimum(costs, costs.T)
    np.fill_diagonal(costs, np.inf)
    return costs
