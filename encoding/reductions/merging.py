"""Merging tokens of a document, or leaving some out, with what that does to their spans in the text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray
from opensearch_multivector.encoding.reductions.base import DocumentTokens
from opensearch_multivector.errors import InputError


def kept(tokens: DocumentTokens, rows: Any) -> DocumentTokens:
    """Only some tokens: a slice, a mask or positions."""
    offsets = None if tokens.offsets is None else tokens.offsets[rows]
    return DocumentTokens(tokens.vectors[rows], offsets, tokens.text)


def merged(tokens: DocumentTokens, groups: NDArray[np.integer[Any]]) -> DocumentTokens:
    """One token for each group: ``groups`` (n,) says which tokens belong together, by any numbers.

    The vector is the mean of its group's, made as long as they are on average; groups come in the order of their first
    tokens. The span is that of the group's most central token, stretched over its neighbours in the text that belong
    to the group too: where in the text the vector can be said to be.
    """
    if not len(groups):
        return tokens
    _, firsts, numbers = np.unique(groups, return_index=True, return_inverse=True)
    numbers = np.argsort(np.argsort(firsts))[numbers]
    vectors = with_lengths(group_sums(tokens.vectors, numbers), mean_lengths(tokens.vectors, numbers))
    offsets = None if tokens.offsets is None else _spans(tokens.vectors, tokens.offsets, vectors, numbers)
    return DocumentTokens(vectors, offsets, tokens.text)


def with_lengths(vectors: FloatArray, lengths: FloatArray) -> FloatArray:
    """Rows in their directions, with these lengths; rows of zeros stay."""
    norms = np.linalg.norm(vectors, axis=1)
    result: FloatArray = vectors * (lengths / np.where(norms > 0, norms, 1)).astype(np.float32)[:, None]
    return result


def group_sums(vectors: FloatArray, groups: NDArray[np.intp]) -> FloatArray:
    """The sum of each group's vectors; groups are numbered from 0 without a gap."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sums: FloatArray = np.add.reduceat(vectors[order], starts, axis=0)
    return sums


def mean_lengths(vectors: FloatArray, groups: NDArray[np.intp]) -> FloatArray:
    """The mean norm of each group's vectors; groups are numbered from 0 without a gap."""
    norms = np.linalg.norm(vectors, axis=1)
    return (np.bincount(groups, norms) / np.bincount(groups)).astype(np.float32)


def text_and_offsets(name: str, tokens: DocumentTokens) -> tuple[str, IntArray]:
    """The document's text and its tokens' spans. Raises InputError where the reduction ``name`` lacks them."""
    if tokens.text is None or tokens.offsets is None:
        raise InputError(
            f"reduction {name!r} needs each document's text and its tokens' places in it, which vectors that are "
            "brought ready-made don't have: use another reduction, or let an encoder make the vectors"
        )
    return tokens.text, tokens.offsets


def _spans(vectors: FloatArray, offsets: IntArray, means: FloatArray, groups: NDArray[np.intp]) -> IntArray:
    runs = np.cumsum(np.diff(groups, prepend=-1) != 0) - 1
    starts = np.flatnonzero(np.diff(runs, prepend=-1))
    placed = offsets[:, 1] > offsets[:, 0]
    begins = np.minimum.reduceat(np.where(placed, offsets[:, 0], np.iinfo(np.int32).max), starts)
    ends = np.maximum.reduceat(np.where(placed, offsets[:, 1], 0), starts)
    # Special tokens have no place of their own, so that they speak for a group only where it has no others.
    # Two tokens are equally near to their mean: rounding makes the first of equals the one.
    centrality = np.round(np.einsum("ij,ij->i", vectors, means[groups]), 4) + np.where(placed, 0, -np.inf)
    central = np.lexsort((-centrality, groups))[np.flatnonzero(np.diff(np.sort(groups), prepend=-1))]
    own = runs[central]
    spans = np.stack([begins[own], ends[own]], axis=1).astype(np.int32)
    spans[~placed[central]] = 0
    return spans
