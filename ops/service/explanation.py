"""One document beside one query: every query token's similarity to every token of the document."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from opensearch_multivector.encoding.codecs import decode_blob
from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray
from opensearch_multivector.errors import BlobError, InputError
from opensearch_multivector.ops.service import schema
from opensearch_multivector.ops.service.auth import Caller
from opensearch_multivector.ops.service.errors import RefusalError
from opensearch_multivector.ops.service.parts import EncodedPart, places_of, stacked
from opensearch_multivector.ops.service.searches import Searches, part_scores
from opensearch_multivector.plugin.cluster_errors import cluster_errors
from opensearch_multivector.plugin.fields import VECTORS, FieldSpec
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import filtered
from opensearch_multivector.queries.query_encoder import QueryEncoder
from opensearch_multivector.queries.rerankers import find
from opensearch_multivector.queries.rerankers.blobs import NO_VECTORS, blob_of, blob_parts
from opensearch_multivector.queries.results import Hit

# More cells than that are no picture any more.
_MOST_CELLS = 400_000
# As many indices behind one alias may hold the id.
_SAME_ID = 100


async def explain(asked: schema.Explain, caller: Caller, searches: Searches, request_id: str) -> schema.ExplainAnswer:
    """Raises RefusalError where the caller has no such document, OsmvError."""

    async def once(searcher: AsyncSearcher) -> schema.ExplainAnswer:
        spec = searcher.spec
        parts = await searches.encoded(spec, asked.parts or [schema.Part(text=asked.query)])
        query = EncodedQuery(vectors=stacked(parts, weighted=False))
        hit = await _document(searcher, asked, query)
        document = await _vectors(searcher, asked, hit, caller, searches)
        encoder = QueryEncoder(spec, searches.encoders.of(spec.vectors))
        return await asyncio.to_thread(_told, asked, spec, encoder, parts, query, hit, document, request_id)

    return await searches.with_searcher(caller, asked, once)


async def _document(searcher: AsyncSearcher, asked: schema.Explain, query: EncodedQuery) -> Hit:
    """The document as the searcher's tenant sees it."""
    one = EncodedQuery(vectors=query.vectors, dsl={"ids": {"values": [asked.doc_id]}})
    # `explain`, since a document whose vectors nobody looks at is not known to be stale.
    found = await searcher.search(
        one, first_stage="query", rerank=None, size=_SAME_ID, window_size=_SAME_ID, routing=asked.routing, explain=True
    )
    for hit in found.hits:
        if asked.hit_index in (None, hit.index):
            return hit
    raise RefusalError(404, "not_found", "there is no such document in this index for this token")


async def _vectors(
    searcher: AsyncSearcher, asked: schema.Explain, hit: Hit, caller: Caller, searches: Searches
) -> FloatArray:
    sidecar = searcher.sidecar
    key = (sidecar.name if sidecar else hit.index, hit.doc_id)
    body: dict[str, Any] = find([key]) | {"_source": False} | blob_parts(searcher.spec, VECTORS)
    if sidecar is None:  # the document may be somebody else's by now
        body["query"] = filtered(body["query"], caller.tenant)
    params = {"routing": asked.routing} if asked.routing is not None else {}
    with cluster_errors():
        answer = await searches.client.search(index=sidecar.name if sidecar else asked.index, body=body, params=params)
    hits = answer["hits"]["hits"]
    blob = blob_of(searcher.spec, hits[0], VECTORS) if hits else None
    if blob is None:
        raise RefusalError(409, "no_vectors", f"the document {NO_VECTORS}")
    try:
        document = decode_blob(blob, searcher.spec.codebook)
    except BlobError as error:
        raise RefusalError(409, "no_vectors", f"the document's token vectors can't be read: {error.reason}") from None
    if not len(document):
        raise RefusalError(409, "no_vectors", "the document has no tokens")
    return document


def _told(
    asked: schema.Explain,
    spec: FieldSpec,
    encoder: QueryEncoder,
    parts: Sequence[EncodedPart],
    query: EncodedQuery,
    hit: Hit,
    document: FloatArray,
    request_id: str,
) -> schema.ExplainAnswer:
    (reduced,) = encoder.encode([query], frozenset({"vectors"}))
    assert reduced.vectors is not None
    similarities = reduced.vectors @ document.T
    if asked.matrix and similarities.size > _MOST_CELLS:
        raise InputError(f"a matrix of {len(similarities)} x {len(document)} tokens is too large: ask for none")
    text = spec.text_of(hit.source)
    tokens = _document_tokens(text, _spans(encoder, text, len(document)) if not hit.stale else None, len(document))
    best = similarities.argmax(axis=1)
    query_tokens, matches = [], []
    for row, (number, part, i) in enumerate(places_of(parts)):
        token, span = part.token(i)
        similarity, matched = float(similarities[row, best[row]]), tokens[best[row]]
        query_tokens.append(schema.QueryToken(part=number, token=token, span=span, weight=part.weight))
        matches.append(
            schema.TokenMatch(
                part=number,
                query_token=token,
                document_token=matched.token,
                similarity=similarity,
                contribution=similarity * part.weight,
                query_span=span,
                document_span=matched.span,
            )
        )
    return schema.ExplainAnswer(
        request_id=request_id,
        index=hit.index,
        doc_id=hit.doc_id,
        score=sum(match.contribution for match in matches),
        part_scores=part_scores(matches, len(parts)),
        source=hit.source,
        text=text,
        stale=hit.stale,
        query_tokens=query_tokens,
        document_tokens=tokens,
        matches=matches,
        matrix=np.round(similarities.astype(np.float64), 4).tolist() if asked.matrix else None,
    )


def _spans(encoder: QueryEncoder, text: str, count: int) -> IntArray | None:
    """Where the document's tokens are, None where its text has no such tokens."""
    spans = encoder.spans() if text else None
    offsets = spans(text, "document") if spans else None
    return offsets if offsets is not None and len(offsets) == count else None


def _document_tokens(text: str, offsets: IntArray | None, count: int) -> list[schema.DocumentToken]:
    pairs = [(0, 0)] * count if offsets is None else offsets.tolist()
    return [
        schema.DocumentToken(token=text[start:end], span=(start, end))
        if end > start
        else schema.DocumentToken(token=f"[{place}]", span=None)
        for place, (start, end) in enumerate(pairs)
    ]
