"""What a document becomes: its own fields, the codec blob, a value in each sub-field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pybase64

from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.encoding.encoders.base import Encoded, Encoder, FloatArray, TermEncoder, TokenTerms
from opensearch_multivector.encoding.encoders.pooling import mean_pooled
from opensearch_multivector.encoding.reductions import DocumentTokens, Reducer, parse_reductions
from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.records import Record, RejectedError
from opensearch_multivector.indexing.sub_fields import VALUES, Material
from opensearch_multivector.plugin.fields import VECTORS, FieldSpec
from opensearch_multivector.plugin.sub_fields import Dense

# Of a field without token vectors.
_NOTHING = Encoded(np.empty((0, 0), np.float32), np.empty(0, np.float32))


@dataclass(frozen=True, slots=True)
class Made:
    """A document as OpenSearch gets it: ``body`` is one JSON object without a newline."""

    body: bytes
    truncated: bool
    vector_bytes: int


class DocumentMaker:
    """Makes documents of records, by batches, for one multi-vector field.

    Without an encoder the records' own token vectors are taken as they are, if the field has any. ``spec`` must have
    its artifacts loaded.
    """

    def __init__(self, spec: FieldSpec, encoder: Encoder | None, term_encoder: TermEncoder | None) -> None:
        self._spec = spec
        self._encoder = encoder
        self._term_encoder = term_encoder
        self._reducer = Reducer(parse_reductions(spec.reduce), spec.state.get("projection"))

    def make(self, records: Sequence[Record]) -> Iterator[Made | RejectedError]:
        """The document of each record, in order, or the reason why there is none. Texts are encoded as one batch."""
        texts = [record.text for record in records]
        encoded = self._encoded(records, texts)
        tokens: Sequence[TokenTerms | None] = [None] * len(records)
        if self._term_encoder:
            tokens = self._term_encoder.encode_terms(texts, "document")
        sound: dict[int, Material] = {}
        outcomes: dict[int, Made | RejectedError] = {}
        for i, (record, vectors, token_terms) in enumerate(zip(records, encoded, tokens, strict=True)):
            try:
                sound[i] = self._material(record, vectors, token_terms)
            except RejectedError as rejected:
                outcomes[i] = rejected
        members = self._members(list(sound.values()))
        for (i, material), written in zip(sound.items(), members, strict=True):
            try:
                outcomes[i] = self._made(records[i], encoded[i], material, written)
            except RejectedError as rejected:
                outcomes[i] = rejected
        return (outcomes[i] for i in range(len(records)))

    def _encoded(self, records: Sequence[Record], texts: Sequence[str]) -> Sequence[Encoded]:
        if self._spec.vectors is None:
            return [_NOTHING] * len(records)
        return self._encoder.encode(texts, "document") if self._encoder else [_ready(record) for record in records]

    def _material(self, record: Record, encoded: Encoded, tokens: TokenTerms | None) -> Material:
        spec = self._spec
        vectors = encoded.vectors
        if vectors.shape[1] != spec.encoder_dim:
            raise RejectedError(
                f"token vectors have {vectors.shape[1]} dimensions, the index {spec.encoder_dim}", record.doc_id
            )
        pooled = pooled_of(record, encoded)
        dense = spec.find(Dense)
        if dense is not None and len(pooled) != dense.dimension(spec):
            raise RejectedError(
                f"the pooled vector has {len(pooled)} dimensions, {spec.sub(Dense.name)} has {dense.dimension(spec)}",
                record.doc_id,
            )
        reduced = self._reducer.document(DocumentTokens(vectors, encoded.offsets, record.text))
        return Material(
            record.doc_id,
            record.text,
            reduced.vectors,
            reduced.offsets,
            pooled,
            tokens=tokens,
            vocabulary=self._term_encoder.vocabulary if self._term_encoder else (),
            terms=record.terms,
        )

    def _members(self, documents: Sequence[Material]) -> list[list[str]]:
        """For each document the JSON members of the sub-fields."""
        members: list[list[str]] = [[] for _ in documents]
        for sub_field in self._spec.sub_fields:
            values = VALUES[sub_field.name](sub_field, self._spec, documents)
            for written, value in zip(members, values, strict=True):
                if value is not None:
                    written.append(f'"{self._spec.sub(sub_field.name)}":{value}')
        return members

    def _made(self, record: Record, encoded: Encoded, material: Material, members: Sequence[str]) -> Made:
        spec = self._spec
        blob = b""
        if spec.vectors is not None:
            try:
                blob = encode_blob(np.ascontiguousarray(material.vectors), spec.codec, spec.codebook)
            except InputError as error:
                raise RejectedError(str(error), record.doc_id) from None
            # Flat dotted keys: Painless reads `params._source['mv.floats']` by its full name.
            members = [f'"{spec.sub(VECTORS)}":"{pybase64.b64encode_as_string(blob)}"', *members]
        own = [record.source[1:-1]] if len(record.source) > len(b"{}") else []
        body = b",".join([*own, *(member.encode() for member in members)])
        return Made(b"{" + body + b"}", encoded.truncated, len(blob))


def pooled_of(record: Record, encoded: Encoded) -> FloatArray:
    """The document's pooled vector: what it brings, else the encoder's, else the mean of its token vectors."""
    if record.pooled is not None:
        return record.pooled
    return encoded.pooled if encoded.pooled is not None else mean_pooled(encoded.vectors)


def _ready(record: Record) -> Encoded:
    if record.vectors is None:
        raise ValueError(f"document {record.doc_id!r} came without token vectors and there is no encoder")
    return Encoded(record.vectors, None)
