"""SLIM (Li et al. 2023, section 3) by its formulas, with none of the project's code: what rankings are held against.

A text is one sparse vector over the vocabulary per token. For each vocabulary term it is written down which document
tokens have it; every formula is then a loop over the query's tokens and their terms, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

Token = dict[int, float]


class NaiveSlim:
    """Documents' tokens, one after the other: ``ids``, ``weights`` (tokens, k), ``counts`` of tokens by document.

    ``stored``: what a store makes of the weights.
    """

    def __init__(
        self,
        ids: np.ndarray,
        weights: np.ndarray,
        counts: Sequence[int],
        stored: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ) -> None:
        self.starts = np.cumsum([0, *counts])[:-1]
        self.n_tokens = len(ids)
        owner = np.repeat(np.arange(len(counts)), counts)
        tokens, columns = np.nonzero(weights > 0)
        terms, kept = ids[tokens, columns], stored(weights[tokens, columns]).astype(np.float64)
        order = np.argsort(terms, kind="stable")
        bounds = np.flatnonzero(np.diff(terms[order], prepend=-1, append=-1))
        self.tokens: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.documents: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for start, end in pairwise(bounds):
            run = order[start:end]
            term = int(terms[run[0]])
            self.tokens[term] = tokens[run], kept[run]
            largest = np.zeros(len(counts))
            np.maximum.at(largest, owner[tokens[run]], kept[run])
            having = np.flatnonzero(largest)
            self.documents[term] = having, largest[having]

    def exact(self, query: Sequence[Token]) -> np.ndarray:
        """Sum over i of max over j of sum over v of q_i[v] d_j[v]."""
        scores = np.zeros(len(self.starts))
        for token in query:
            similarities = np.zeros(self.n_tokens)
            for term, weight in token.items():
                where, weights = self.tokens.get(term, (np.empty(0, int), np.empty(0)))
                similarities[where] += weight * weights
            scores += np.maximum.reduceat(similarities, self.starts)
        return scores

    def upper(self, query: Sequence[Token]) -> np.ndarray:
        """Sum over i and v of q_i[v] max over j of d_j[v]."""
        scores = np.zeros(len(self.starts))
        for token in query:
            for term, weight in token.items():
                self._add(scores, term, weight)
        return scores

    def lower(self, query: Sequence[Token]) -> np.ndarray:
        """Sum over i of q_i[w] max over j of d_j[w], with w the heaviest term of query token i."""
        scores = np.zeros(len(self.starts))
        for token in query:
            if token:
                heaviest = max(token, key=token.__getitem__)
                self._add(scores, heaviest, token[heaviest])
        return scores

    def fused(self, query: Sequence[Token], weight: float = 0.99) -> np.ndarray:
        """The bounds' weighted sum."""
        return weight * self.upper(query) + (1 - weight) * self.lower(query)

    def _add(self, scores: np.ndarray, term: int, weight: float) -> None:
        having, weights = self.documents.get(term, (np.empty(0, int), np.empty(0)))
        scores[having] += weight * weights


def tokens_of(ids: np.ndarray, weights: np.ndarray) -> list[Token]:
    """One text's tokens as mappings."""
    return [
        {int(i): float(w) for i, w in zip(some, their, strict=True) if w > 0}
        for some, their in zip(ids, weights, strict=True)
    ]


def nine_bits(weights: np.ndarray) -> np.ndarray:
    """What Lucene's FeatureField keeps of a float32: 9 significant bits, the rest cut off."""
    return (weights.astype(np.float32).view(np.int32) >> 15 << 15).view(np.float32)


def half(weights: np.ndarray) -> np.ndarray:
    """What a blob of token terms keeps."""
    return weights.astype(np.float16)


def same_order(scores: np.ndarray, reference: np.ndarray, digits: float = 1e-6) -> bool:
    """Whether documents rank alike: none goes before one that the reference has higher.

    Scores that agree within ``digits`` of their size are ties, which float32 can't tell apart.
    """
    ranked = reference[np.argsort(-scores, kind="stable")]
    # The least of those that went before: nothing may exceed it.
    before = np.minimum.accumulate(ranked)
    return bool((ranked <= before + digits * np.abs(ranked)).all())
