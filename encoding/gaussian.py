"""Texts as Gaussians, compared by one inner product (Zamani & Bendersky 2023, "Multivariate Representation Learning for
Information Retrieval", SIGIR, section 3.4).

A text is a normal distribution with the mean mu and the diagonal variance s of its token vectors; a document scores
-KL(query || document). Of

    -2 KL(q || d) = sum_i [1 + log sq_i - log sd_i - (sq_i + mq_i**2) / sd_i + 2 mq_i md_i / sd_i - md_i**2 / sd_i]

the first two terms depend on the query alone. The rest is an inner product in 2 * dim + 1 dimensions. Any multiple of
the document's vector ranks the same, and so does any number added to a component for all documents alike; with f the
least variance there can be and w = sqrt(dim), such that the components of documents are small and differ:

    query    = [1,                                              w (sq_i + mq_i**2) ...,    mq_i ...,       0]
    document = [-f/2 sum_i (log(sd_i / f) + md_i**2 / sd_i),    (1 - f / sd_i) / (2 w) ..., f md_i / sd_i ..., rest]
    query . document = -f KL(q || d) - f/2 sum_i (1 + log(sq_i / f)) + 1/2 sum_i (sq_i + mq_i**2)

``rest`` = sqrt(9/4 - the squares of the others) gives all documents of unit token vectors the same length (Bachrach et
al. 2014, "Speeding up the Xbox recommender system using a Euclidean transformation for inner-product spaces"). A graph
of nearest neighbours is built on the inner products of documents with each other; only at equal lengths do these say
which are near. With the vectors as in the paper HNSW found .019 of MaxSim's ten best, without ``rest`` .592, so .920.

A variance below f = ``floor`` / dim is raised to it (1 / dim is the mean square of a unit vector's component): a text
of one token has none, and 1 / variance must not make one dimension outweigh all others. With a high floor what is left
is the Euclidean distance of the means.

The authors train an encoder to give mean and variance; here both are of the token vectors of any encoder, and the
variance helps little. On SciFact with MiniLM's tokens nDCG@10 is .640 (pooled vector .645, the tokens' MaxSim .707),
and .921 / .978 of MaxSim's ten best are among the best 100 / 300 (pooled .933 / .986).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray

DEFAULT_FLOOR = 1.0

# Of unit token vectors the constant is at most 1, the spread at most 1/2 and the mean at most 1 long.
_LENGTH = 1.5


def gaussian_size(dim: int) -> int:
    """Dimensions of an encoding of token vectors of ``dim`` dimensions."""
    return 2 * dim + 2


def gaussian_query(vectors: FloatArray, floor: float = DEFAULT_FLOOR) -> FloatArray:
    """(n_query, dim) float32, n_query >= 1, to (2 * dim + 2,) float32."""
    mean, variance = mean_and_variance(vectors, floor)
    weight = np.sqrt(len(mean))
    return np.concatenate([[1.0], weight * (variance + mean**2), mean, [0.0]]).astype(np.float32)


def gaussian_document(vectors: FloatArray, floor: float = DEFAULT_FLOOR) -> FloatArray:
    """(n_document, dim) float32, n_document >= 1, to (2 * dim + 2,) float32."""
    mean, variance = mean_and_variance(vectors, floor)
    least = floor / vectors.shape[1]
    constant = -0.5 * least * float((np.log(variance / least) + mean**2 / variance).sum())
    spread = (1 - least / variance) / (2 * np.sqrt(len(mean)))
    document = np.concatenate([[constant], spread, least * mean / variance])
    rest = np.sqrt(max(0.0, _LENGTH**2 - float(document @ document)))
    return np.append(document, rest).astype(np.float32)


def mean_and_variance(vectors: FloatArray, floor: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance (dim,) of the rows, the variance not below ``floor`` / dim; in double precision."""
    rows = vectors.astype(np.float64)
    return rows.mean(axis=0), np.maximum(rows.var(axis=0), floor / vectors.shape[1])
