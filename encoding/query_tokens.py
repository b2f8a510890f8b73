"""Fewer query vectors: which to keep where a first pass over many candidates must be cheap.

A later pass scores the best with all of them (HEAVEN, Kim et al. 2025, "Hybrid-vector retrieval for visually rich
documents"). Two ways to choose:

`by_cover` looks at the vectors alone. A query token's best similarity is close to that of a token with a like vector,
so the kept ones should cover all: greedily, each next token is the one that raises most the sum over all query tokens i
of max over kept j of q_i . q_j (facility location; the greedy choice reaches at least 1 - 1/e of the best cover). Each
kept token then stands for those nearest to it: its vector is multiplied by their number, and so is its part of MaxSim.
`by_words` is HEAVEN's: words that carry the meaning first. The paper keeps nouns by a part-of-speech tagger; here
function words (English), punctuation and special tokens go last, in this order, and among equals `by_cover` decides.
Nested models (MetaEmbed, Xiao et al. 2025) need neither: their first n vectors are a query of n.

SciFact, MiniLM vectors, 300 candidates of the pooled vector, 150 queries: share of MaxSim's top 10 among the best 100
and 30 with 30 % of the tokens kept: `by_cover` .993 and .919; without its weights .970 and .843; `by_words` .981 and
.858; the first tokens .913 and .706; random ones .975 and .813.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray
from opensearch_multivector.errors import InputError

Indices = NDArray[np.intp]

_FUNCTION_WORDS = frozenset(
    """
    a about above after again against all although am among an and any are as at be because been before being below
    between both but by can could did do does doing down during each either few for from further had has have having he
    her here hers herself him himself his how however i if in into is it its itself just may me might more most must my
    myself neither no nor not now of off on once only or other our ours ourselves out over own per same shall she should
    since so some such than that the their theirs them themselves then there these they this those though through to too
    toward towards under until up upon us very via was we were what when where whether which while who whom whose why
    will with within without would you your yours yourself yourselves
    """.split()  # noqa: SIM905
)
_MEANING, _FUNCTION, _PUNCTUATION, _SPECIAL = range(4)


def number_kept(share: float, count: int) -> int:
    """How many of ``count`` tokens a share above 0 and up to 1 keeps: rounded up, so one where there is any."""
    return ceil(share * count)


def by_cover(vectors: FloatArray, share: float) -> FloatArray:
    """The kept tokens' vectors times the number of tokens each stands for.

    ``vectors``: (n, dim) float32. Returns (`number_kept`, dim) float32, in the query's order.
    """
    kept = np.sort(_in_order(vectors, np.zeros(len(vectors), np.intp))[: number_kept(share, len(vectors))])
    if not len(kept):
        return vectors
    nearest = (vectors @ vectors[kept].T).argmax(axis=1)
    weighted: FloatArray = vectors[kept] * np.bincount(nearest, minlength=len(kept)).astype(np.float32)[:, None]
    return weighted


def by_words(vectors: FloatArray, share: float, text: str, offsets: IntArray) -> FloatArray:
    """The vectors of the tokens that carry the meaning, unchanged; shapes as in `by_cover`.

    ``offsets``: (n, 2) int32 character spans in ``text``, empty for special tokens. Raises InputError where they don't
    go with the vectors.
    """
    if len(offsets) != len(vectors):
        raise InputError(f"the query has {len(vectors)} vectors but offsets of {len(offsets)} tokens")
    kinds = np.array([_kind(text, start, end) for start, end in offsets.tolist()], np.intp)
    return vectors[np.sort(_in_order(vectors, kinds)[: number_kept(share, len(vectors))])]


def _in_order(vectors: FloatArray, kinds: Indices) -> Indices:
    """Indices of the tokens, of lower kinds first, within a kind by what they add to the cover; (n,)."""
    similarities = vectors @ vectors.T
    covered = np.full(len(vectors), -np.inf, np.float32)
    left = np.ones(len(vectors), bool)
    order: list[int] = []
    while left.any():
        open_ = np.flatnonzero(left & (kinds == kinds[left].min()))
        gains = np.maximum(covered[:, None], similarities[:, open_]).sum(axis=0)
        chosen = int(open_[gains.argmax()])
        order.append(chosen)
        left[chosen] = False
        covered = np.maximum(covered, similarities[:, chosen])
    return np.array(order, np.intp)


def _kind(text: str, start: int, end: int) -> int:
    if end <= start:
        return _SPECIAL
    if not any(character.isalnum() for character in text[start:end]):
        return _PUNCTUATION
    # A piece of a word is as important as the word.
    while start > 0 and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    return _FUNCTION if text[start:end].lower() in _FUNCTION_WORDS else _MEANING
