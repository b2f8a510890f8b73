"""Drift: whether a codebook still fits the token vectors that come.

What a codebook loses of unit vectors is the mean of 1 - c . x over their nearest centroids (half the mean squared
residual). Training wrote down that figure for tokens that it had held out; the relative loss of others is

    relative_loss = (1 - mean similarity of these) / (1 - mean similarity of those held out)

1 for documents of the same kind. Everything that is read through the codebook suffers from it: the centroids of the
`codes` stage stand for tokens that lie further off, and the buckets of the `residual` codec are too narrow.

Retraining pays above `WORTH_RETRAINING`. On SciFact a codebook of 2,048 centroids loses 1.21 times as much as one of
8,192, and finds .951 of exact MaxSim's top 10 among 100 candidates where the larger one finds .987: above that line a
codebook serves the new documents no better than a fresh one of a quarter of its size would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.kmeans import unit_rows
from opensearch_multivector.errors import InputError

WORTH_RETRAINING = 1.2


@dataclass(frozen=True, slots=True)
class Drift:
    """``mean_similarity`` of the tokens to their nearest centroids; ``relative_loss``: see the module's text."""

    mean_similarity: float
    relative_loss: float

    @property
    def retrain(self) -> bool:
        """Whether a codebook trained on such documents would pay."""
        return self.relative_loss > WORTH_RETRAINING


def drift(codebook: Codebook, vectors: FloatArray) -> Drift:
    """How well a codebook serves token vectors, (n, dim) float32, n >= 1; lengths don't count.

    Raises InputError on no vectors, MismatchError on another dimension.
    """
    if len(vectors) == 0:
        raise InputError("there are no token vectors to compare with the codebook")
    directions = unit_rows(vectors)
    own = codebook.centroids[codebook.assign(directions)]
    similarity = float(np.einsum("ij,ij->i", directions, own).mean(dtype=np.float64))
    # A codebook of as many centroids as there were tokens has lost nothing but rounding.
    held_out = max(1 - codebook.mean_similarity, 1e-3)
    return Drift(similarity, max(1 - similarity, 0) / held_out)
