"""An index of somebody's own texts with a field attached by hand, and an encoder that costs nothing."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from opensearchpy import OpenSearch, helpers

from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.encoding.encoders.base import Encoded, Kind, TokenTerms
from opensearch_multivector.indexing.backfill import Filler, Pace
from opensearch_multivector.plugin.attachments import (
    IN_PLACE,
    Attachment,
    Mode,
    concrete_index,
    fingerprint_of,
    put_attachment,
    sidecar_name,
)
from opensearch_multivector.plugin.fields import META_KEY, EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import attached_properties, sidecar_body
from opensearch_multivector.plugin.sub_fields import Slim

DIM = 4
VOCABULARY = tuple(f"term{i}" for i in range(20))
PACE = Pace(batch=16, page=50, unit=100, patience=60)


class WordEncoder:
    """A vector and a term for each word, decided by the word alone: different texts have different vectors."""

    name = "words"
    fingerprint = "words-1"
    dim = DIM
    max_length = 512
    vocabulary = VOCABULARY

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.encoded = 0

    def encode(self, texts: Sequence[str], kind: Kind) -> list[Encoded]:
        time.sleep(self.seconds * len(texts))
        self.encoded += len(texts)
        return [Encoded(np.stack([_vector(word) for word in text.split()]), None) for text in texts]

    def offsets(self, text: str, kind: Kind) -> np.ndarray:
        return np.array([match.span() for match in re.finditer(r"\S+", text)], np.int32)

    def encode_terms(self, texts: Sequence[str], kind: Kind) -> list[TokenTerms]:
        return [
            TokenTerms(
                np.array([[_number(word) % len(VOCABULARY)] for word in text.split()], np.int32),
                np.ones((len(text.split()), 1), np.float32),
            )
            for text in texts
        ]


def _number(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest())


def _vector(word: str) -> np.ndarray:
    vector = np.random.default_rng(_number(word)).normal(size=DIM)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def spec_of() -> FieldSpec:
    words = EncoderRef(WordEncoder.name, WordEncoder.fingerprint)
    return FieldSpec("mv", DIM, "f32", words, words, ("text",), (Slim(),), has_text_copy=False)


def make_index(client: OpenSearch, name: str, shards: int = 2, replicas: int = 0) -> None:
    """Somebody's index, as it was before anything is attached."""
    properties = {"text": {"type": "text"}, "price": {"type": "integer"}}
    settings = {"number_of_shards": shards, "number_of_replicas": replicas}
    client.indices.create(index=name, body={"settings": settings, "mappings": {"properties": properties}})


def attach(
    client: OpenSearch,
    name: str,
    mode: Mode,
    spec: FieldSpec | None = None,
    *,
    replicas: int = 0,
    filter_fields: tuple[str, ...] = ("price",),
) -> Attachment:
    """What `osmv attach` does, without its questions."""
    spec = spec or spec_of()
    index, uuid = concrete_index(client, name)
    target = index
    if mode == IN_PLACE:
        mapping = client.indices.get_mapping(index=index)[index]["mappings"]
        meta = mapping.get("_meta", {}) | {META_KEY: {"fields": {spec.field: spec.to_meta()}}}
        client.indices.put_mapping(index=index, body={"_meta": meta, "properties": attached_properties(spec)})
    else:
        target = sidecar_name(index)
        mapping = client.indices.get_mapping(index=index)[index]["mappings"]
        settings = {"number_of_shards": 2, "number_of_replicas": replicas}
        body = sidecar_body(spec, mapping, filter_fields, settings=settings)
        client.indices.create(index=target, body=body)
    filters = filter_fields if target != index else ()
    made_at = f"2026-01-01T00:00:00.{time.time_ns()}"
    attachment = Attachment(index, uuid, "mv", mode, target, ("text",), fingerprint_of(spec), made_at, filters)
    put_attachment(client, attachment)
    return attachment


def filler(client: OpenSearch, name: str, *, seconds: float = 0.0, pace: Pace = PACE, **options: Any) -> Filler:
    encoder = WordEncoder(seconds)
    return Filler(client, name, encoder=encoder, term_encoder=encoder, pace=pace, **options)


def put(client: OpenSearch, name: str, documents: dict[str, dict[str, Any]], **options: Any) -> None:
    lines = [part for doc_id, body in documents.items() for part in ({"index": {"_id": doc_id} | options}, body)]
    answer = client.bulk(body=lines, index=name)
    assert not answer["errors"], answer


def own_documents(client: OpenSearch, name: str) -> dict[str, dict[str, Any]]:
    """Each document as its owner knows it, without what was attached."""
    client.indices.refresh(index=name)
    return {
        hit["_id"]: {key: value for key, value in hit["_source"].items() if not key.startswith("mv")}
        for hit in helpers.scan(client, index=name, query={"query": {"match_all": {}}})
    }


@dataclass(frozen=True)
class Stored:
    """What is indexed of a document's field."""

    hash: str | None = None
    vectors: str | None = None
    terms: frozenset[str] = frozenset()


def stored(client: OpenSearch, attachment: Attachment) -> dict[str, Stored]:
    """By document, whatever `_source` says of it."""
    target = attachment.target
    client.indices.refresh(index=target)
    query = {"query": {"match_all": {}}, "docvalue_fields": ["mv.hash", "mv.vectors"]}
    hits = {hit["_id"]: hit.get("fields", {}) for hit in helpers.scan(client, index=target, query=query)}
    terms: dict[str, set[str]] = {doc_id: set() for doc_id in hits}
    for term in VOCABULARY:
        has_term = {"query": {"rank_feature": {"field": f"mv.slim.{term}", "linear": {}}}, "_source": False}
        for hit in client.search(index=target, body=has_term | {"size": 10_000})["hits"]["hits"]:
            terms[hit["_id"]].add(term)
    return {
        doc_id: Stored(fields.get("mv.hash", [None])[0], _unpadded(fields), frozenset(terms[doc_id]))
        for doc_id, fields in hits.items()
    }


def _unpadded(fields: dict[str, list[str]]) -> str | None:
    return fields["mv.vectors"][0].rstrip("=") if "mv.vectors" in fields else None


def expected(attachment: Attachment, text: str | None) -> Stored:
    """What ought to be stored for a text."""
    if text is None:
        return Stored()
    words = text.split()
    if not words:
        return Stored(attachment.content_hash(""))
    (encoded,) = WordEncoder().encode([text], "document")
    blob = base64.b64encode(encode_blob(encoded.vectors, "f32")).decode().rstrip("=")
    return Stored(
        attachment.content_hash(text), blob, frozenset(VOCABULARY[_number(w) % len(VOCABULARY)] for w in words)
    )


def check_filled(client: OpenSearch, attachment: Attachment, documents: dict[str, dict[str, Any]]) -> None:
    """Every document is as its owner left it, and all that is stored is of the texts as they are now."""
    assert own_documents(client, attachment.index) == documents
    wanted = {doc_id: expected(attachment, body.get("text")) for doc_id, body in documents.items()}
    if attachment.mode != IN_PLACE:
        wanted = {doc_id: each if each.hash else expected(attachment, "") for doc_id, each in wanted.items()}
    there = stored(client, attachment)
    assert there.keys() == wanted.keys()
    wrong = {doc_id: (there[doc_id], each) for doc_id, each in wanted.items() if there[doc_id] != each}
    assert not wrong
