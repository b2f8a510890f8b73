"""What a run into an index uses where its caller has not said: what the index was made with, else the defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.codecs import DEFAULT_CODEC, codec_named
from opensearch_multivector.encoding.encoders import load_encoder, load_term_encoder
from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.errors import MissingDependencyError
from opensearch_multivector.indexing.readers import Documents, brings_vectors
from opensearch_multivector.indexing.records import Layout
from opensearch_multivector.indexing.target import existing_spec
from opensearch_multivector.plugin.fields import READY_VECTORS

NONE = "none"


@dataclass(frozen=True, slots=True)
class Choices:
    """The arguments of `index_documents` that an existing index or a default decides."""

    encoder: Encoder | None
    term_encoder: TermEncoder | None
    codec: str
    store_floats: bool
    layout: Layout


def choose(
    client: OpenSearch,
    index: str,
    documents: Documents,
    *,
    encoder: str | None = None,
    terms: str | None = None,
    codec: str | None = None,
    store_floats: bool | None = None,
    title_field: str | None = None,
    text_field: str | None = None,
    layout: Layout,
    vectors: Path | None = None,
    message: Callable[[str], None] = lambda _: None,
) -> Choices:
    """Fill in what is None and load the encoders.

    ``encoder`` ``"none"``: the documents bring token vectors, which is also noticed where a file shows it.
    ``terms`` ``"none"``: no SLIM terms. Raises InputError, MismatchError and MissingDependencyError.
    """
    codec_named(codec or DEFAULT_CODEC)
    found = existing_spec(client, index, layout.field)
    title, text = found.text_fields if found and len(found.text_fields) == 2 else layout.text_fields
    layout = replace(layout, title_field=title_field or title, text_field=text_field or text)
    if encoder is None and found:
        encoder = NONE if found.vectors.name == READY_VECTORS else found.vectors.name
    if encoder is None and (vectors or brings_vectors(documents, layout)):
        encoder = NONE
    if terms is None and found:
        terms = found.terms.name if found.terms else NONE
    return Choices(
        encoder=None if encoder == NONE else load_encoder(encoder),
        term_encoder=_term_encoder(terms, ready=encoder == NONE, message=message),
        codec=codec or (found.codec if found else DEFAULT_CODEC),
        store_floats=store_floats if store_floats is not None else bool(found and found.has_floats),
        layout=layout,
    )


def _term_encoder(name: str | None, *, ready: bool, message: Callable[[str], None]) -> TermEncoder | None:
    if name == NONE or (name is None and ready):
        return None
    if name is not None:
        return load_term_encoder(name)
    try:
        return load_term_encoder()
    except MissingDependencyError as error:
        message(f"without SLIM terms: {error}")
        return None
