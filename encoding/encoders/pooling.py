"""From a model's hidden states to what is stored: unit token vectors and the pooled vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opensearch_multivector.encoding.encoders.base import Encoded, FloatArray
from opensearch_multivector.encoding.encoders.tokens import BATCH_TOKENS, TextTokenizer, Tokens, batches


def _weighted_mean(hidden: FloatArray) -> FloatArray:
    """Later tokens weigh more (Muennighoff 2022, SGPT, section 4.1)."""
    weights = np.arange(1, len(hidden) + 1, dtype=np.float32)
    pooled: FloatArray = weights @ hidden / weights.sum()
    return pooled


# By the names of sentence-transformers' 1_Pooling/config.json. The vector is normalised afterwards, so that
# mean_sqrt_len (the mean times the root of the length) is the mean.
POOLINGS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "mean": lambda hidden: hidden.mean(axis=0),
    "mean_sqrt_len": lambda hidden: hidden.mean(axis=0),
    "cls": lambda hidden: hidden[0],
    "lasttoken": lambda hidden: hidden[-1],
    "max": lambda hidden: hidden.max(axis=0),
    "weightedmean": _weighted_mean,
}


def normalised(vectors: FloatArray) -> FloatArray:
    """Divide by the L2 norm along the last axis; a zero vector stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: FloatArray = (vectors / np.maximum(norms, np.finfo(np.float32).tiny)).astype(np.float32, copy=False)
    return unit


def mean_pooled(vectors: FloatArray) -> FloatArray:
    """Pooled vector, (dim,), of ready token vectors, (n_tokens, dim) float32: their mean, scaled to norm 1."""
    return normalised(POOLINGS["mean"](vectors))


def encoded(hidden: FloatArray, tokens: Tokens, pooling: str) -> Encoded:
    """One text's result. ``hidden``: (n_tokens, dim) float32, the last hidden state without padding.

    Every token is kept, [CLS] and [SEP] too: they carry the sentence's meaning in models trained on a pooled vector.
    """
    return Encoded(
        vectors=normalised(hidden),
        pooled=normalised(POOLINGS[pooling](hidden)),
        offsets=tokens.offsets,
        truncated=tokens.truncated,
    )


def encode_texts(
    texts: Sequence[str],
    tokenizer: TextTokenizer,
    forward: Callable[[dict[str, Any]], FloatArray],
    pooling: str,
    batch_tokens: int = BATCH_TOKENS,
) -> list[Encoded]:
    """Encode texts in batches of similar length, results in their order; what every way to run a model shares.

    ``forward``: a model's inputs, as `TextTokenizer.pad` gives them, to its last hidden state (batch, tokens, dim).
    """
    tokens = tokenizer(texts)
    results: dict[int, Encoded] = {}
    for batch in batches([len(one.ids) for one in tokens], batch_tokens):
        hidden = forward(tokenizer.pad([tokens[i] for i in batch]))
        for row, i in enumerate(batch):
            results[i] = encoded(hidden[row, : len(tokens[i].ids)], tokens[i], pooling)
    return [results[i] for i in range(len(texts))]
