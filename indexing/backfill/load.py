"""What a backfill works with: the attachment, its field with all artifacts, and the encoders that it was made for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders import load_encoder, load_term_encoder
from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.document import DocumentMaker
from opensearch_multivector.plugin.artifacts import load_state
from opensearch_multivector.plugin.attachments import Attachment, fingerprint_of
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import read_spec

AnEncoder = TypeVar("AnEncoder", Encoder, TermEncoder)


def load_spec(client: OpenSearch, attachment: Attachment) -> FieldSpec:
    """The attached field as its index describes it, artifacts loaded.

    Raises MismatchError where that is not what the attachment was recorded with, ClusterError.
    """
    spec = read_spec(client, attachment.target, attachment.field)
    if fingerprint_of(spec) != attachment.fingerprint:
        raise MismatchError(
            f"the mapping of {attachment.target!r} describes another field {attachment.field!r} than was attached: "
            "detach it (`osmv detach`) and attach it again"
        )
    return load_state(client, spec)


def load_maker(
    spec: FieldSpec, encoder: Encoder | None = None, term_encoder: TermEncoder | None = None
) -> DocumentMaker:
    """What makes documents for the field, with these encoders or those that it names.

    Raises MismatchError where an encoder is not the one that the field was attached with, MissingDependencyError.
    """
    return DocumentMaker(
        spec, _loaded(spec.vectors, encoder, load_encoder), _loaded(spec.terms, term_encoder, load_term_encoder)
    )


def _loaded(ref: EncoderRef | None, given: AnEncoder | None, load: Callable[[str], AnEncoder]) -> AnEncoder | None:
    if ref is None:
        return None
    if ref.name == READY_VECTORS:
        raise MismatchError("vectors that documents bring ready-made can't be filled in: attach with an encoder")
    encoder = given if given is not None else load(ref.name)
    if encoder.fingerprint != ref.fingerprint:
        raise MismatchError(
            f"encoder {ref.name!r} has changed since the field was attached with it (fingerprint {ref.fingerprint}, "
            f"now {encoder.fingerprint}): use the same, or detach and attach again"
        )
    return encoder
