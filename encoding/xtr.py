"""XTR's score: from the best documents of each query token alone, without the rest of their vectors
(Lee et al. 2023, "Rethinking the Role of Token Retrieval in Multi-Vector Retrieval", section 3.2).

A search finds for query token i the k documents of the largest s_i(d) = max_j q_i . d_j. With m_i the k-th of these
similarities, which is the most that a document can have that was not found,

    score(q, d) = sum over i of  s_i(d) where d is among the k, else m_i

The authors find the k nearest tokens of all documents, here the documents of the nearest tokens: k counts documents.
"""

from __future__ import annotations

import numpy as np

from opensearch_multivector.encoding.encoders.base import FloatArray


def imputed_scores(similarities: FloatArray, k: int) -> FloatArray:
    """(n_documents, n_query) float32, NaN where the token did not find the document, to (n_documents,) scores.

    More than ``k`` finds of a token (several shards give k each) count as the ``k`` best. A token that found nothing
    adds 0; of less than ``k`` finds the least is m_i.
    """
    if len(similarities) == 0:
        return np.zeros(0, np.float32)
    falling = -np.sort(-similarities, axis=0)  # NaN is last
    found = np.count_nonzero(~np.isnan(similarities), axis=0)
    places = np.maximum(np.minimum(found, k) - 1, 0)
    missing = np.where(found > 0, falling[places, np.arange(len(places))], np.float32(0))
    scores: FloatArray = np.fmax(similarities, missing).sum(axis=1)
    return scores
