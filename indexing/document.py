"""What a document becomes: its own fields, the codec blob, the pooled vector, the SLIM terms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pybase64

from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.encoding.encoders.base import Encoded, Encoder, FloatArray, TermEncoder, TokenTerms
from opensearch_multivector.encoding.encoders.pooling import mean_pooled
from opensearch_multivector.encoding.sparsify import document_terms
from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.records import Record, RejectedError
from opensearch_multivector.plugin.fields import DENSE, FLOATS, SLIM, VECTORS, FieldSpec


@dataclass(frozen=True, slots=True)
class Made:
    """A document as OpenSearch gets it: ``body`` is one JSON object without a newline."""

    body: bytes
    truncated: bool
    vector_bytes: int


def make_documents(
    records: Sequence[Record], spec: FieldSpec, encoder: Encoder | None, term_encoder: TermEncoder | None
) -> Iterator[Made | RejectedError]:
    """The document of each record, in order, or the reason why there is none.

    Without an encoder the records' own token vectors are taken as they are. Texts are encoded as one batch.
    """
    texts = [record.text for record in records]
    encoded = encoder.encode(texts, "document") if encoder else [_ready(record) for record in records]
    terms: Sequence[TokenTerms | None] = [None] * len(records)
    if term_encoder:
        terms = term_encoder.encode_terms(texts, "document")
    for record, vectors, token_terms in zip(records, encoded, terms, strict=True):
        slim = None
        if term_encoder and token_terms:
            slim = document_terms(token_terms, term_encoder.vocabulary)
        try:
            yield _make(record, spec, vectors, slim)
        except RejectedError as rejected:
            yield rejected


def _ready(record: Record) -> Encoded:
    if record.vectors is None:
        raise ValueError(f"document {record.doc_id!r} came without token vectors and there is no encoder")
    return Encoded(record.vectors, None)


def _make(record: Record, spec: FieldSpec, encoded: Encoded, slim: dict[str, float] | None) -> Made:
    vectors = encoded.vectors
    if vectors.shape[1] != spec.dim:
        raise RejectedError(f"token vectors have {vectors.shape[1]} dimensions, the index {spec.dim}", record.doc_id)
    try:
        blob = encode_blob(vectors, spec.codec)
    except InputError as error:
        raise RejectedError(str(error), record.doc_id) from None
    # Flat dotted keys: Painless reads `params._source['mv.floats']` by its full name.
    members = [f'"{spec.sub(VECTORS)}":"{pybase64.b64encode_as_string(blob)}"']
    if spec.has_dense:
        pooled = encoded.pooled if encoded.pooled is not None else mean_pooled(vectors)
        members.append(f'"{spec.sub(DENSE)}":{_json_row(pooled)}')
    if slim:
        members.append(f'"{spec.sub(SLIM)}":{json.dumps(slim)}')
    if spec.has_floats:
        members.append(f'"{spec.sub(FLOATS)}":[{",".join(map(_json_row, vectors))}]')
    opening = record.source[:-1] + (b"," if len(record.source) > len(b"{}") else b"")
    return Made(opening + ",".join(members).encode() + b"}", encoded.truncated, len(blob))


def _json_row(row: FloatArray) -> str:
    # Nine significant digits bring every float32 back exactly, in half the bytes of Python's repr of a float.
    return "[" + ("%.9g," * len(row) % tuple(row.tolist()))[:-1] + "]"
