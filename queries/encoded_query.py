"""What a query becomes before any request is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray, TokenTerms
from opensearch_multivector.encoding.sparsify import check_weights, ready_terms
from opensearch_multivector.errors import InputError

# Beyond these a product of two vectors is no float32 any more.
_GREATEST_COMPONENT = 1e18


@dataclass(frozen=True, slots=True)
class QueryTerms:
    """SLIM terms of a query, by feature name: ``upper`` and ``fused`` weights, and the tokens they came from.

    ``tokens``: for rerank `slim`, and for `seismic` where the index's terms are of an encoder. Raises InputError on
    what are no weights.
    """

    upper: dict[str, float]
    fused: dict[str, float]
    tokens: TokenTerms | None = None

    def __post_init__(self) -> None:
        check_weights(self.upper)
        check_weights(self.fused)
        if self.tokens is not None:
            _check_tokens(self.tokens)

    @classmethod
    def ready(cls, weights: Mapping[str, float]) -> QueryTerms:
        """Learned-sparse weights by term, made elsewhere (uniCOIL, SPLADE); raises as `sparsify.ready_terms`."""
        terms = ready_terms(weights)
        return cls(terms, terms)


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A query ready to be searched with; also the way to search with vectors that were made elsewhere.

    ``vectors``: (n_tokens, dim) float32 for the rerank and the stages over token vectors, as the encoder gives them:
    reductions of the index are applied to them; ``pooled``: (dim,) float32 for `dense`; ``terms`` for `slim`; ``text``
    for `bm25`; ``offsets``: (n_tokens, 2) int32, spans of the vectors' tokens in the text, for reranks that choose
    tokens by their words; ``dsl``: a query clause of your own, for `query`. Only what the first stage and the rerank
    use has to be there; what of it is left out is encoded from the text, where there is one and the index has an
    encoder for it. Arrays may be lists, and of other numbers: they become what is said here. Raises InputError on what
    has no such form, on NaN and infinity, and on a text with half a surrogate pair, which is no text.
    """

    text: str | None = None
    vectors: FloatArray | None = None
    pooled: FloatArray | None = None
    terms: QueryTerms | None = None
    offsets: IntArray | None = None
    dsl: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.text is not None:
            check_text(self.text)
        for name, ndim, form in (("vectors", 2, "(tokens, dimensions)"), ("pooled", 1, "(dimensions,)")):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _floats(getattr(self, name), ndim, f"the query's {name}", form))
        if self.offsets is not None:
            object.__setattr__(self, "offsets", _spans(self.offsets))
        if self.terms is not None and not isinstance(self.terms, QueryTerms):
            raise InputError("the query's terms must be QueryTerms, such as QueryTerms.ready({'bee': 1.5})")


def check_text(text: Any, what: str = "the query's text") -> None:
    """Raise InputError where this is no text that could be searched for or sent; ``what`` names it."""
    if not isinstance(text, str):
        raise InputError(f"{what} must be a string, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{what} holds half a surrogate pair at character {error.start + 1}, which is no text: was it "
            "cut in the midst of an emoji?"
        ) from None


def _floats(value: Any, ndim: int, what: str, form: str) -> FloatArray:
    try:
        array = np.asarray(value)
    except ValueError:  # rows that differ in length
        raise InputError(f"{what} must be one array of numbers of shape {form}") from None
    if array.ndim != ndim or array.dtype.kind not in "fiu":
        raise InputError(f"{what} must be numbers of shape {form}, not {array.dtype} of shape {array.shape}")
    if not (np.abs(array) <= _GREATEST_COMPONENT).all():  # NaN is not, either
        raise InputError(f"{what} hold NaN, infinity or a number beyond {_GREATEST_COMPONENT:g}")
    return np.ascontiguousarray(array, np.float32)


def _spans(value: Any) -> IntArray:
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise InputError("the query's offsets must be whole numbers of shape (tokens, 2)")
    return np.ascontiguousarray(array, np.int32)


def _check_tokens(tokens: Any) -> None:
    ids, weights = getattr(tokens, "ids", None), getattr(tokens, "weights", None)
    if not isinstance(ids, np.ndarray) or not isinstance(weights, np.ndarray):
        raise InputError("tokens of the query's terms must be TokenTerms, as a term encoder gives them")
    if ids.ndim != 2 or ids.shape != weights.shape or (ids.dtype.kind, weights.dtype.kind) != ("i", "f"):
        raise InputError("tokens of the query's terms must be whole numbers and floats of one shape (tokens, k)")
    # Ids are places in a vocabulary, of which none is nearly as large.
    if not ((ids >= 0) & (ids < 2**24) & np.isfinite(weights)).all():
        raise InputError(
            "tokens of the query's terms hold an id below 0 or beyond 16 million, or a weight that is NaN or infinite"
        )
