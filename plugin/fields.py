"""The names of a multi-vector field's sub-fields, and the description of it that lives in the mapping's `_meta`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from opensearch_multivector.errors import MismatchError

FORMAT_VERSION = 1
META_KEY = "osmv"
DEFAULT_FIELD = "mv"

# Encoder name in `_meta` for vectors brought ready-made: nothing can be loaded by it, queries bring vectors too.
READY_VECTORS = "ready"

VECTORS = "vectors"
DENSE = "dense"
SLIM = "slim"
TEXT = "text"
FLOATS = "floats"


@dataclass(frozen=True, slots=True)
class EncoderRef:
    """An encoder as the index remembers it: its name to load it by, its fingerprint to recognise it by."""

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A multi-vector field ``F`` of an index.

    ``vectors`` names the token-vector encoder and ``terms`` the SLIM one (None: no `F.slim`). ``text_fields`` are the
    document's own fields that were encoded, joined by one blank in this order; `F.text` is their BM25 copy.
    ``has_dense``, ``has_floats``: whether `F.dense` (pooled knn_vector) and `F.floats` (raw vectors kept in `_source`
    for `lateInteractionScore`, the painless baseline) exist.
    """

    field: str
    dim: int
    codec: str
    vectors: EncoderRef
    terms: EncoderRef | None = None
    text_fields: tuple[str, ...] = ("title", "text")
    has_dense: bool = True
    has_floats: bool = False

    def sub(self, name: str) -> str:
        """Full name of a sub-field: ``spec.sub(VECTORS) == "mv.vectors"``."""
        return f"{self.field}.{name}"

    def to_meta(self) -> dict[str, Any]:
        """As stored under ``_meta.osmv.fields.<field>``."""
        return asdict(self) | {"text_fields": list(self.text_fields), "format_version": FORMAT_VERSION}

    @classmethod
    def from_meta(cls, meta: dict[str, Any]) -> FieldSpec:
        """Inverse of `to_meta`. Raises MismatchError on a format version this release does not know."""
        values = dict(meta)
        version = values.pop("format_version", None)
        if version != FORMAT_VERSION:
            raise MismatchError(
                f"field {meta.get('field')!r} was written in format version {version}, this release reads version "
                f"{FORMAT_VERSION}: use the release that made the index, or index again."
            )
        values["vectors"] = EncoderRef(**values["vectors"])
        values["terms"] = EncoderRef(**values["terms"]) if values["terms"] else None
        values["text_fields"] = tuple(values["text_fields"])
        return cls(**values)

    def text_of(self, source: dict[str, Any]) -> str:
        """The text that was encoded for a document, from its `_source`."""
        parts = (source.get(name) for name in self.text_fields)
        return " ".join(str(part).strip() for part in parts if part not in (None, "")).strip()
