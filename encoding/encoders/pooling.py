"""From a model's hidden states to what is stored: unit token vectors and the pooled vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from opensearch_multivector.encoding.encoders.base import Encoded, FloatArray
from opensearch_multivector.encoding.encoders.forms import Tokens
from opensearch_multivector.encoding.encoders.tokens import BATCH_TOKENS, TextTokenizer, batches


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


def encoded(
    hidden: FloatArray, tokens: Tokens, pooling: str | None, project: Callable[[FloatArray], FloatArray] | None = None
) -> Encoded:
    """One text's result. ``hidden``: (n_tokens, dim) float32, what the model gives for each token, without padding.

    [CLS] and [SEP] are kept too: they carry the sentence's meaning in models trained on a pooled vector. ``pooling``:
    None where the pooled vector is the mean of the token vectors. ``project``: what token and pooled vectors still
    go through (a chain after a pooling).
    """
    kept = hidden[tokens.kept]
    vectors = normalised(project(kept) if project else kept)
    if pooling is None:
        pooled = mean_pooled(vectors)
    else:
        pooled = POOLINGS[pooling](hidden)
        pooled = normalised(project(pooled) if project else pooled)
    return Encoded(vectors=vectors, pooled=pooled, offsets=tokens.offsets[tokens.kept], truncated=tokens.truncated)


def encode_texts(
    texts: Sequence[str],
    tokenizer: TextTokenizer,
    forward: Callable[[dict[str, Any]], FloatArray],
    result: Callable[[FloatArray, Tokens], Encoded],
    batch_tokens: int = BATCH_TOKENS,
) -> list[Encoded]:
    """Encode texts in batches of similar length, results in their order; what every way to run a model shares.

    ``forward``: a model's inputs, as `TextTokenizer.pad` gives them, to (batch, tokens, dim). ``result``: `encoded`
    with the model's pooling.
    """
    tokens = tokenizer(texts)
    results: dict[int, Encoded] = {}
    for batch in batches([len(one.ids) for one in tokens], batch_tokens):
        hidden = forward(tokenizer.pad([tokens[i] for i in batch]))
        for row, i in enumerate(batch):
            results[i] = result(hidden[row, : len(tokens[i].ids)], tokens[i])
    return [results[i] for i in range(len(texts))]
