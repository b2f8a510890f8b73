"""`sum_max`: the best match of each query vector, summed (Khattab & Zaharia 2020, ColBERT, section 3.3).

    score(q, d) = sum over query vectors i of  max over document vectors j of  q_i . d_j

From -n_query to n_query for vectors of norm 1; 0 for a document without vectors, as an empty sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opensearch_multivector.encoding.encoders.base import FloatArray


def sum_of_maxima(similarities: FloatArray, counts: Sequence[int]) -> FloatArray:
    """See `Score` and the module's text."""
    scores = np.zeros(len(counts), np.float32)
    lengths = np.asarray(counts, np.intp)
    filled = lengths > 0
    if filled.any():
        # reduceat wants the start of each non-empty run; an empty run would repeat its successor's first row.
        starts = (np.cumsum(lengths) - lengths)[filled]
        scores[filled] = np.maximum.reduceat(similarities, starts, axis=0).sum(axis=1)
    return scores
