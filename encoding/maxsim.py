"""MaxSim, the late-interaction score (Khattab & Zaharia 2020, ColBERT, section 3.3).

    score(q, d) = sum over query vectors i of  max over document vectors j of  q_i . d_j

The inner product is taken as it is: encoders give rows of norm 1, so for them it is the cosine. A document without
vectors scores 0, as an empty sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.blas import one_thread
from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.encoding.codecs import Blob, Codec, open_blob
from opensearch_multivector.encoding.codecs.blob import leave_out_infinite
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.scores.base import Score
from opensearch_multivector.encoding.scores.sum_max import sum_of_maxima
from opensearch_multivector.errors import BlobError, MismatchError

# Vectors scored by one matrix product: enough to keep BLAS busy, small enough to stay in the cache and bound memory.
BLOCK_VECTORS = 2048


def maxsim(query: FloatArray, document: FloatArray) -> float:
    """Score of one document. ``query``: (n_query, dim), ``document``: (n_document, dim), float32."""
    if len(document) == 0 or len(query) == 0:
        return 0.0
    return float((query @ document.T).max(axis=1).sum(dtype=np.float64))


def alignment(query: FloatArray, document: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """For each query vector the document vector it matches best, and their similarity: both (n_query,).

    The similarities sum to `maxsim`. Raises ValueError on a document without vectors: nothing can match.
    """
    similarities = query @ document.T
    best = similarities.argmax(axis=1)
    return best, similarities[np.arange(len(query)), best]


def maxsim_blobs(
    query: FloatArray,
    blobs: Sequence[bytes],
    block_vectors: int = BLOCK_VECTORS,
    codebook: Codebook | None = None,
    score: Score = sum_of_maxima,
) -> tuple[FloatArray, dict[int, BlobError]]:
    """Scores of stored documents, straight from their blobs (codecs may differ from document to document).

    ``query``: (n_query, dim) float32; ``score``: MaxSim, or another of `scores`. Returns the scores, (len(blobs),)
    float32, NaN for a blob that can't be read, and the errors of those by position. Raises MismatchError when a
    readable blob has another dimension than the query.
    """
    scores = np.full(len(blobs), np.nan, np.float32)
    errors: dict[int, BlobError] = {}
    block: list[tuple[int, Blob]] = []
    block_codec: Codec | None = None
    block_size = 0

    def flush() -> None:
        nonlocal block, block_size
        if block and block_codec is not None:
            counts = [blob.count for _, blob in block]
            with one_thread(), np.errstate(over="ignore", invalid="ignore"):
                products = block_codec.similarities([blob.payload for _, blob in block], counts, query.shape[1], query)
                scores[[position for position, _ in block]] = score(products, counts)
        block, block_size = [], 0

    for position, data in enumerate(blobs):
        try:
            codec, blob = open_blob(data, codebook)
        except BlobError as error:
            errors[position] = error
            continue
        if blob.dim != query.shape[1]:
            raise MismatchError(
                f"the query's vectors have {query.shape[1]} dimensions, the stored ones {blob.dim}: "
                "search with the encoder that made the index"
            )
        if block_codec is None or codec.codec_id != block_codec.codec_id or block_size + blob.count > block_vectors:
            flush()
            block_codec = codec
        block.append((position, blob))
        block_size += blob.count
    flush()
    leave_out_infinite(scores, errors)
    return scores, errors
