"""`client`: exact or quantised MaxSim here, over the blobs that the candidates carry as doc values.

Or another score (`encoding.scores`), or with fewer query vectors (`encoding.query_tokens`): a cheap first pass in a
chain such as ``client:tokens=0.3,keep=100>client``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from opensearch_multivector.encoding.codecs import codec_named
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.maxsim import maxsim_blobs
from opensearch_multivector.encoding.query_tokens import by_cover, by_words
from opensearch_multivector.encoding.scores import SCORES, score_named
from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.fields import VECTORS, FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.rerankers.base import Reranker
from opensearch_multivector.queries.rerankers.blobs import TYPICAL_TOKENS, BlobReranker, Scored

_CHOICES = ("cover", "words")


def vectors_bytes(spec: FieldSpec) -> int:
    """About how many bytes a document's stored token vectors take."""
    return codec_named(spec.codec, spec.codebook).payload_size(TYPICAL_TOKENS, spec.dim)


@dataclass(frozen=True, slots=True)
class Client(BlobReranker):
    """``score``: a name of `SCORES`. ``first``: only the query's first n vectors count; 0: all.

    ``tokens``: the share of these that is kept, ``by`` "cover" (the vectors alone; with score sum_max) or "words" (the
    query's text).
    """

    name: ClassVar[str] = "client"
    needs: ClassVar[Literal["vectors", "terms"]] = "vectors"

    score: str = "sum_max"
    first: int = 0
    tokens: float = 1.0
    by: str = "cover"

    def __post_init__(self) -> None:
        Reranker.__post_init__(self)
        score_named(self.score)
        if self.first < 0:
            raise InputError(f"first of rerank 'client' can't be negative, it is {self.first}")
        if not 0 < self.tokens <= 1:
            raise InputError(f"tokens of rerank 'client' is a share above 0 and at most 1, not {self.tokens}")
        if self.by not in _CHOICES:
            raise InputError(f"by of rerank 'client' is {' or '.join(_CHOICES)}, not {self.by!r}")
        if self.tokens < 1 and self.by == "cover" and self.score != "sum_max":
            raise InputError(
                f"score {self.score!r} of rerank 'client' has no place for weights of tokens: give by=words"
            )

    def blob_field(self) -> str:
        """See `BlobReranker`."""
        return VECTORS

    def blob_bytes(self, spec: FieldSpec) -> int:
        """See `BlobReranker`."""
        return vectors_bytes(spec)

    def score_blobs(self, spec: FieldSpec, query: EncodedQuery, blobs: Sequence[bytes]) -> Scored:
        """See `BlobReranker`. Raises InputError where the words of a query without text should choose."""
        return maxsim_blobs(self._vectors(query), blobs, codebook=spec.codebook, score=SCORES[self.score])

    def _vectors(self, query: EncodedQuery) -> FloatArray:
        """The query's vectors that count, as they count."""
        assert query.vectors is not None
        vectors = query.vectors[: self.first or None]
        if self.tokens == 1:
            return vectors
        if self.by == "cover":
            return by_cover(vectors, self.tokens)
        if query.text is None or query.offsets is None:
            raise InputError("rerank 'client' with by=words needs the query's text and the offsets of its tokens")
        return by_words(vectors, self.tokens, query.text, query.offsets[: self.first or None])
