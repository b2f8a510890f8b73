"""`max`: the single best match of any query vector with any document vector.

    score(q, d) = max over i and j of  q_i . d_j

For vectors that are alternatives and not parts: several views of a document, several interests of a user (Li et al.
2019, MIND, "Multi-interest network with dynamic routing"; Cen et al. 2020, ComiRec). From -1 to 1 for vectors of norm
1; -1, the least of these, where either side has no vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opensearch_multivector.encoding.encoders.base import FloatArray


def largest(similarities: FloatArray, counts: Sequence[int]) -> FloatArray:
    """See `Score` and the module's text."""
    scores = np.full(len(counts), -1, np.float32)
    lengths = np.asarray(counts, np.intp)
    filled = lengths > 0
    if filled.any() and similarities.shape[1]:
        starts = (np.cumsum(lengths) - lengths)[filled]
        scores[filled] = np.maximum.reduceat(similarities.max(axis=1), starts)
    return scores
