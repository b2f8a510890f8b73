"""Token terms of one document as bytes, for the exact sparse MaxSim as a rerank (Li et al. 2023, SLIM, section 3).

In the envelope of `codecs.blob`, under ids of its own, with n the number of tokens and, in the dimension's place, the
number t of stored terms of all tokens. Payload, little-endian, without padding::

    t ids       u16, u32 where an id does not fit
    t weights   f16: off by at most 2**-11 of the weight; or f32, exact; or u8, codes of 1 to 255 of a scale for the
                document, the heaviest weight / 255: off by at most half the scale, and lighter terms are dropped
    1 scale     f32, with u8 only
    n counts    u8: terms of each token, at most 255

That is 4 (f16), 6 (f32) or 3 (u8) bytes a term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.codecs.blob import leave_out_infinite, seal, unseal
from opensearch_multivector.encoding.encoders.base import FloatArray, TokenTerms
from opensearch_multivector.encoding.sparsify import SparseQuery
from opensearch_multivector.errors import BlobError, InputError

WEIGHTS = ("f16", "f32", "u8")
MAX_TERMS = 255

# Ids of codecs of token vectors count up from 1; these stay out of their way.
_FIRST_ID = 64
# Scored at once: some arrays of 8 MB.
_BLOCK_TERMS = 1 << 20
_LEAST_F16 = np.float32(2.0**-24)
_MOST = {"f16": 65_504.0, "f32": float(np.finfo(np.float32).max), "u8": 65_504.0}


@dataclass(frozen=True, slots=True)
class _Layout:
    """One of the six forms."""

    ids: np.dtype[Any]
    weights: np.dtype[Any]

    def size(self, tokens: int, terms: int) -> int:
        scale = 4 if self.weights == np.uint8 else 0
        return terms * (self.ids.itemsize + self.weights.itemsize) + scale + tokens


_NARROW, _WIDE = np.dtype("<u2"), np.dtype("<u4")
_STORED: dict[str, np.dtype[Any]] = {"f16": np.dtype("<f2"), "f32": np.dtype("<f4"), "u8": np.dtype("u1")}
# By weights, and whether an id needs four bytes.
_IDS = {
    ("f16", False): _FIRST_ID,
    ("u8", False): _FIRST_ID + 1,
    ("f16", True): _FIRST_ID + 2,
    ("u8", True): _FIRST_ID + 3,
    ("f32", False): _FIRST_ID + 4,
    ("f32", True): _FIRST_ID + 5,
}
_LAYOUTS = {
    codec_id: _Layout(_WIDE if wide else _NARROW, _STORED[weights]) for (weights, wide), codec_id in _IDS.items()
}


def encode_terms(terms: TokenTerms, weights: str = "f16") -> bytes:
    """The bytes of a document's token terms. ``weights``: one of `WEIGHTS`.

    Raises InputError on another name, and on what the form can't hold: more than 255 terms a token, a weight that is
    not finite or, but for f32, above 65,504.
    """
    if weights not in WEIGHTS:
        raise InputError(f"weights of token terms are stored as {', '.join(WEIGHTS)}, not {weights!r}")
    values = np.asarray(terms.weights, np.float32)
    if not np.isfinite(values).all() or (values > _MOST[weights]).any():
        raise InputError(f"a token's term has a weight that is not finite or above {_MOST[weights]:,.5g}")
    scale = np.float32(0)
    if weights == "u8":
        scale = np.float32(max(values.max(initial=0), 0) / 255)
        stored: NDArray[Any] = np.rint(values / scale if scale > 0 else np.zeros_like(values)).clip(0).astype(np.uint8)
    elif weights == "f16":
        stored = np.where(values >= _LEAST_F16, values, 0).astype("<f2")
    else:
        stored = values.astype("<f4")
    kept = stored > 0
    lengths = kept.sum(axis=1)
    if lengths.max(initial=0) > MAX_TERMS:
        raise InputError(f"a token has {lengths.max()} terms, {MAX_TERMS} can be stored: keep fewer of them")
    ids = terms.ids[kept]
    codec_id = _IDS[weights, bool(ids.max(initial=0) > np.iinfo(np.uint16).max)]
    layout = _LAYOUTS[codec_id]
    parts = [ids.astype(layout.ids), stored[kept], lengths.astype(np.uint8)]
    if weights == "u8":
        parts.insert(2, np.array([scale], "<f4"))
    return seal(codec_id, len(lengths), len(ids), b"".join(part.tobytes() for part in parts))


@dataclass(frozen=True, slots=True)
class StoredTerms:
    """A blob taken apart: ``ids`` (t,), ``weights`` (t,) float32, ``lengths`` (n_tokens,) terms of each token."""

    ids: NDArray[np.unsignedinteger[Any]]
    weights: FloatArray
    lengths: NDArray[np.uint8]


def open_terms(blob: bytes) -> StoredTerms:
    """Inverse of `encode_terms`, within its error. Raises BlobError on anything but a whole, unaltered such blob."""
    opened = unseal(blob)
    layout = _LAYOUTS.get(opened.codec_id)
    if layout is None:
        raise BlobError(f"not token terms: the blob has codec id {opened.codec_id}")
    tokens, terms, payload = opened.count, opened.dim, opened.payload
    if len(payload) != layout.size(tokens, terms):
        raise BlobError(f"token terms are inconsistent: {terms} of {tokens} tokens in {len(payload)} bytes")
    ids = np.frombuffer(payload, layout.ids, terms)
    weights = np.frombuffer(payload, layout.weights, terms, offset=ids.nbytes).astype(np.float32)
    if layout.weights == np.uint8:
        with np.errstate(over="ignore", invalid="ignore"):
            weights *= np.frombuffer(payload, "<f4", 1, offset=ids.nbytes + terms)[0]
    lengths = np.frombuffer(payload, np.uint8, tokens, offset=len(payload) - tokens)
    if int(lengths.sum()) != terms:
        raise BlobError(f"token terms are inconsistent: {terms} terms, but {int(lengths.sum())} by token")
    return StoredTerms(ids, weights, lengths)


def slim_scores(query: TokenTerms, blobs: Sequence[bytes]) -> tuple[FloatArray, dict[int, BlobError]]:
    """Sparse MaxSim of stored documents.

    Returns the scores, (len(blobs),) float32, NaN for a blob that can't be read, and the errors of those by position.
    """
    scores = np.full(len(blobs), np.nan, np.float32)
    errors: dict[int, BlobError] = {}
    prepared = SparseQuery(query)
    block: dict[int, StoredTerms] = {}
    size = 0

    def flush() -> None:
        nonlocal size
        if block:
            documents = list(block.values())
            with np.errstate(over="ignore", invalid="ignore"):
                scores[list(block)] = prepared.scores(
                    np.concatenate([document.ids for document in documents]),
                    np.concatenate([document.weights for document in documents]),
                    np.concatenate([document.lengths for document in documents]),
                    np.array([len(document.lengths) for document in documents]),
                )
        block.clear()
        size = 0

    for position, blob in enumerate(blobs):
        try:
            document = open_terms(blob)
        except BlobError as error:
            errors[position] = error
            continue
        block[position] = document
        size += len(document.ids)
        if size >= _BLOCK_TERMS:
            flush()
    flush()
    leave_out_infinite(scores, errors)
    return scores, errors
