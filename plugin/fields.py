"""The names of a multi-vector field's sub-fields, and the description of it that lives in the mapping's `_meta`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from dataclasses import field as member
from typing import Any, TypeVar

from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.errors import MismatchError
from opensearch_multivector.plugin.stored_types import read_back
from opensearch_multivector.plugin.sub_fields import SUB_FIELDS, Dense, SubField

FORMAT_VERSION = 2
META_KEY = "osmv"
DEFAULT_FIELD = "mv"

# Encoder name in `_meta` for vectors brought ready-made: nothing can be loaded by it, queries bring vectors too.
READY_VECTORS = "ready"

VECTORS = "vectors"
TEXT = "text"
HASH = "hash"
VERSION = "version"  # of a document that was copied into a new index, until somebody writes it: its own `_version`

Sub = TypeVar("Sub")


@dataclass(frozen=True, slots=True)
class EncoderRef:
    """An encoder as the index remembers it: its name to load it by, its fingerprint to recognise it by."""

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A multi-vector field ``F`` of an index.

    ``dim``, ``codec``: of the stored token vectors; 0 and "" where there are none. ``vectors`` names the token-vector
    encoder (None: there are no token vectors) and ``terms`` the SLIM one (None: there are no terms). ``text_fields``
    are the document's own fields that were encoded, joined by one blank in this order; `F.text` is their BM25 copy,
    which a field that was attached to somebody's index lacks (``has_text_copy`` false): it has `F.hash` instead, which
    tells vectors of the text as it is from those of an earlier one (`plugin.attachments`).
    ``sub_fields``: what is stored beside `F.vectors` and `F.text`.
    ``reduce``: the reductions that token vectors went through (`encoding.reductions`), and ``encoder_dim`` their
    dimension before (0: as ``dim``). ``artifacts``: ids of the data-dependent arrays that all this needs, by kind.

    ``state`` holds those arrays once `plugin.artifacts.load_state` has fetched them; it is no part of the description.
    """

    field: str
    dim: int
    codec: str
    vectors: EncoderRef | None
    terms: EncoderRef | None = None
    text_fields: tuple[str, ...] = ("title", "text")
    sub_fields: tuple[SubField, ...] = (Dense(),)
    reduce: str = ""
    encoder_dim: int = 0
    artifacts: Mapping[str, str] = member(default_factory=dict)
    has_text_copy: bool = True
    state: Mapping[str, Any] = member(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.encoder_dim:
            object.__setattr__(self, "encoder_dim", self.dim)
        # In one order, so that equal descriptions are equal.
        object.__setattr__(self, "sub_fields", tuple(sorted(self.sub_fields, key=lambda sub_field: sub_field.name)))

    def sub(self, name: str) -> str:
        """Full name of a sub-field: ``spec.sub(VECTORS) == "mv.vectors"``."""
        return f"{self.field}.{name}"

    def find(self, kind: type[Sub]) -> Sub | None:
        """The sub-field of that class, or None where the index was made without it."""
        return next((sub_field for sub_field in self.sub_fields if isinstance(sub_field, kind)), None)

    def need(self, kind: type[Sub], who: str) -> Sub:
        """As `find`. Raises MismatchError, naming ``who`` needs it and how to have it, where it is not there."""
        found = self.find(kind)
        if found is None:
            name: str = kind.name  # type: ignore[attr-defined]  # every sub-field has one
            needs_vectors = self.vectors is None and SUB_FIELDS[name]().needs_vectors
            remedy = f"--sub-field {name}{' and without --no-vectors' if needs_vectors else ''}"
            raise MismatchError(f"{who} needs {self.sub(name)}, which the index was made without: index with {remedy}")
        return found

    def need_vectors(self, who: str, instead: str = "") -> EncoderRef:
        """The token-vector encoder.

        Raises MismatchError, naming ``who`` needs it and what goes ``instead``, where there are no token vectors.
        """
        if self.vectors is None:
            raise MismatchError(
                f"{who} needs token vectors, which field {self.field!r} of the index was made without: "
                f"{instead}index again without --no-vectors"
            )
        return self.vectors

    @property
    def codebook(self) -> Codebook | None:
        """The loaded codebook; None where the index has none."""
        return self.state.get("codebook")

    def to_meta(self) -> dict[str, Any]:
        """As stored under ``_meta.osmv.fields.<field>``."""
        return {
            "format_version": FORMAT_VERSION,
            "field": self.field,
            "dim": self.dim,
            "codec": self.codec,
            "vectors": asdict(self.vectors) if self.vectors else None,
            "terms": asdict(self.terms) if self.terms else None,
            "text_fields": list(self.text_fields),
            "sub_fields": {sub_field.name: asdict(sub_field) for sub_field in self.sub_fields},
            "reduce": self.reduce,
            "encoder_dim": self.encoder_dim,
            "artifacts": dict(self.artifacts),
            "has_text_copy": self.has_text_copy,
        }

    @classmethod
    def from_meta(cls, meta: dict[str, Any]) -> FieldSpec:
        """Inverse of `to_meta`. Raises MismatchError on another form, or a version of a later release."""
        return read_back(lambda: cls._read(meta), "the description of the multi-vector field in the index's mapping")

    @classmethod
    def _read(cls, meta: dict[str, Any]) -> FieldSpec:
        values = dict(meta)
        version = values.pop("format_version", None)
        if version == 1:
            values = _from_version_1(values)
        elif version != FORMAT_VERSION:
            raise MismatchError(
                f"field {meta.get('field')!r} was written in format version {version}, this release reads versions 1 "
                f"to {FORMAT_VERSION}: use the release that made the index, or index again."
            )
        for encoder in ("vectors", "terms"):
            values[encoder] = EncoderRef(**values[encoder]) if values[encoder] else None
        values["text_fields"] = tuple(values["text_fields"])
        stored = values["sub_fields"]
        if unknown := stored.keys() - SUB_FIELDS.keys():
            raise MismatchError(f"field {meta['field']!r} has sub-fields of a later release: {', '.join(unknown)}")
        values["sub_fields"] = tuple(SUB_FIELDS[name](**parameters) for name, parameters in stored.items())
        return cls(**values)

    def text_of(self, source: dict[str, Any]) -> str:
        """The text that was encoded for a document, from its `_source`; a name may lead through objects and lists."""
        parts = (str(part).strip() for name in self.text_fields for part in values_at(source, name))
        return " ".join(part for part in parts if part)


def described_fields(mappings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The descriptions of an index's multi-vector fields by name, from its mapping's `_meta`, which anybody fills."""
    found: Any = mappings
    for key in ("_meta", META_KEY, "fields"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def values_at(source: Mapping[str, Any], name: str) -> Iterator[Any]:
    """The values of a field in `_source`, where ``a.b`` may be written as one key, as objects, or as lists of them."""
    for key, value in source.items():
        if key != name and not name.startswith(f"{key}."):
            continue
        rest = name[len(key) + 1 :]
        for each in value if isinstance(value, list) else [value]:
            if not rest and each is not None:
                yield each
            elif rest and isinstance(each, Mapping):
                yield from values_at(each, rest)


def without_field(source: Mapping[str, Any], field: str) -> dict[str, Any]:
    """A document without a field that is attached to it, be that one key of objects or keys with dots."""
    return {name: value for name, value in source.items() if name.split(".", 1)[0] != field}


def _from_version_1(values: dict[str, Any]) -> dict[str, Any]:
    """Format version 1 had three sub-fields, as flags."""
    flags = {
        "dense": values.pop("has_dense", True),
        "floats": values.pop("has_floats", False),
        "slim": bool(values["terms"]),
    }
    return values | {"sub_fields": {name: {} for name, on in flags.items() if on}}
