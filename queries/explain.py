"""Which document token each query token matched: MaxSim's argmax, put back into the texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from opensearch_multivector.encoding.codecs import decode_blob
from opensearch_multivector.encoding.encoders.base import IntArray, Kind
from opensearch_multivector.encoding.maxsim import alignment
from opensearch_multivector.errors import BlobError
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.results import TokenMatch

TokenSpans: TypeAlias = Callable[[str, Kind], IntArray]


def token_matches(
    spec: FieldSpec,
    query: EncodedQuery,
    source: dict[str, Any],
    blob: bytes | None,
    spans: TokenSpans | None,
) -> tuple[TokenMatch, ...]:
    """One match per query token, in the query's order; empty where the document's vectors can't be read."""
    assert query.vectors is not None
    if blob is None:
        return ()
    try:
        document = decode_blob(blob, spec.codebook)
    except BlobError:
        return ()
    if len(document) == 0:
        return ()
    best, similarities = alignment(query.vectors, document)
    text = spec.text_of(source)
    query_spans = _spans(spans, query.text, "query", len(query.vectors))
    document_spans = _spans(spans, text, "document", len(document))
    matches = []
    for i, (j, similarity) in enumerate(zip(best.tolist(), similarities.tolist(), strict=True)):
        query_span, document_span = query_spans[i], document_spans[j]
        matches.append(
            TokenMatch(
                query_token=_surface(query.text, query_span, i),
                document_token=_surface(text, document_span, j),
                similarity=similarity,
                query_span=query_span,
                document_span=document_span,
            )
        )
    return tuple(matches)


def _spans(spans: TokenSpans | None, text: str | None, kind: Kind, count: int) -> list[tuple[int, int] | None]:
    """Spans of the tokens; None for special tokens, and for all where text and vectors don't belong together."""
    offsets = spans(text, kind) if spans is not None and text else None
    if offsets is None or len(offsets) != count:
        return [None] * count
    return [(start, end) if end > start else None for start, end in offsets.tolist()]


def _surface(text: str | None, span: tuple[int, int] | None, position: int) -> str:
    return text[span[0] : span[1]] if text is not None and span is not None else f"[{position}]"
