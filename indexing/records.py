"""One document as it was read, checked, and the reason given when it can't be used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.sparsify import Terms, ready_terms
from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.fields import DEFAULT_FIELD

MAX_ID_BYTES = 512
_USUAL_ID_FIELDS = ("_id", "id")


class RejectedError(Exception):
    """A document that can't be indexed. ``reason`` is for people; the run goes on without it."""

    def __init__(self, reason: str, doc_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.doc_id = doc_id


@dataclass(frozen=True, slots=True)
class Layout:
    """Which fields of a record mean what.

    ``id_field`` None: `_id`, else `id`. ``vectors_field``: where ready token vectors lie in the record, with ``ready``.
    ``ready``: token vectors are brought, so text is optional; ``text_optional``: it is anyway.
    ``terms_field``: where learned-sparse weights lie, as ``{term: weight}``; None: there are none.
    ``pooled_field``: where a ready pooled vector lies; None: there is none. ``field``: the multi-vector field; its name
    is taken. ``max_bytes``: the size a record may have as JSON.
    """

    id_field: str | None = None
    text_field: str = "text"
    title_field: str = "title"
    vectors_field: str = "vectors"
    ready: bool = False
    text_optional: bool = False
    terms_field: str | None = None
    pooled_field: str | None = None
    field: str = DEFAULT_FIELD
    max_bytes: int = 5_000_000

    @property
    def text_fields(self) -> tuple[str, str]:
        """The fields that make up the text, in the order they are joined."""
        return self.title_field, self.text_field


@dataclass(frozen=True, slots=True)
class Record:
    """A sound document: its id, the text to encode, its own fields as a JSON object, what it brings ready-made.

    ``vectors``: (n_tokens, dim) float32, finite, n_tokens >= 1; or None. ``terms``: learned-sparse weights by feature
    name, the heaviest first; or None. ``pooled``: (dim,) float32, finite; or None.
    """

    doc_id: str
    text: str
    source: bytes
    vectors: FloatArray | None = None
    terms: Terms | None = None
    pooled: FloatArray | None = None


def make_record(value: Mapping[str, Any], layout: Layout, *, vectors_elsewhere: bool = False) -> Record:
    """Check a record's fields. Raises RejectedError with the reason.

    ``vectors_elsewhere``: ready vectors come from another file, the caller adds them.
    """
    id_field, doc_id = _identify(value, layout)
    fields = dict(value)
    if id_field == "_id":
        del fields["_id"]
    vectors = None
    if layout.ready and not vectors_elsewhere:
        if fields.get(layout.vectors_field) is None:
            raise RejectedError(f"field {layout.vectors_field!r} with the token vectors is missing", doc_id)
        vectors = token_vectors(fields.pop(layout.vectors_field), doc_id)
    terms = None
    if layout.terms_field is not None:
        if fields.get(layout.terms_field) is None:
            raise RejectedError(f"field {layout.terms_field!r} with the terms' weights is missing", doc_id)
        terms = term_weights(fields.pop(layout.terms_field), doc_id)
    pooled = None
    if layout.pooled_field is not None:
        if fields.get(layout.pooled_field) is None:
            raise RejectedError(f"field {layout.pooled_field!r} with the pooled vector is missing", doc_id)
        pooled = pooled_vector(fields.pop(layout.pooled_field), doc_id)
    taken = next((name for name in fields if name.split(".", 1)[0] == layout.field), None)
    if taken is not None:
        raise RejectedError(f"field {taken!r} collides with the multi-vector field: rename it or pick --field", doc_id)
    text = _text(fields, layout, doc_id)
    if not text and not (layout.ready or layout.text_optional):
        raise RejectedError("text is empty", doc_id)
    return Record(doc_id, text, _as_json(fields, layout.max_bytes, doc_id), vectors, terms, pooled)


def term_weights(value: Any, doc_id: str | None = None) -> Terms:
    """Learned-sparse weights, ``{term: weight}``, as `sparsify.ready_terms` gives them.

    Raises RejectedError on anything that is no such mapping, or a weight that is negative, not finite or no float32.
    """
    try:
        return ready_terms(value)
    except InputError as error:
        raise RejectedError(str(error), doc_id) from None


def pooled_vector(value: Any, doc_id: str | None = None) -> FloatArray:
    """A list or an array of numbers to (dim,) float32; raises RejectedError as `token_vectors` does."""
    if np.ndim(value) != 1:
        raise RejectedError("the pooled vector must be one list of numbers", doc_id)
    (row,) = token_vectors([value], doc_id)
    pooled: FloatArray = row
    return pooled


def token_vectors(value: Any, doc_id: str | None = None) -> FloatArray:
    """Nested lists or an array to (n_tokens, dim) float32.

    Raises RejectedError on anything ragged, not numeric, not finite, empty or not two-dimensional.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise RejectedError("token vectors differ in length among themselves", doc_id) from None
    if array.size == 0:
        raise RejectedError("there are no token vectors", doc_id)
    if array.dtype.kind not in "fiu":
        raise RejectedError("token vectors hold something that is not a number", doc_id)
    if array.ndim != 2:
        raise RejectedError(f"token vectors must be a list of lists of numbers, not of shape {array.shape}", doc_id)
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise RejectedError(f"token vector {bad} holds NaN or infinity", doc_id)
    return array


def _identify(value: Mapping[str, Any], layout: Layout) -> tuple[str, str]:
    names = (layout.id_field,) if layout.id_field else _USUAL_ID_FIELDS
    name = next((name for name in names if name in value), None)
    if name is None:
        raise RejectedError(f"id is missing (field {' or '.join(map(repr, names))})")
    doc_id = value[name]
    if isinstance(doc_id, int) and not isinstance(doc_id, bool):
        doc_id = str(doc_id)
    if not isinstance(doc_id, str):
        raise RejectedError(f"id is neither a string nor an integer (field {name!r})")
    if not doc_id:
        raise RejectedError(f"id is empty (field {name!r})")
    try:
        size = len(doc_id.encode())
    except UnicodeEncodeError:
        raise RejectedError(f"id holds half a surrogate pair (field {name!r})") from None
    if size > MAX_ID_BYTES:
        raise RejectedError(f"id is {size} bytes long, OpenSearch takes {MAX_ID_BYTES}", doc_id)
    return name, doc_id


def _text(fields: Mapping[str, Any], layout: Layout, doc_id: str) -> str:
    parts = []
    for name in layout.text_fields:
        part = fields.get(name)
        if part is None:
            continue
        if not isinstance(part, str):
            raise RejectedError(f"field {name!r} is not a string", doc_id)
        parts.append(part.strip())
    return " ".join(part for part in parts if part)


def _as_json(fields: Mapping[str, Any], max_bytes: int, doc_id: str) -> bytes:
    try:
        source = json.dumps(fields, ensure_ascii=False, allow_nan=False, default=str, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise RejectedError("a field holds half a surrogate pair", doc_id) from None
    except (ValueError, RecursionError) as error:
        raise RejectedError(f"a field can't be written as JSON: {error}", doc_id) from None
    if len(source) > max_bytes:
        raise RejectedError(f"{len(source):,} bytes long, more than the {max_bytes:,} a record may have", doc_id)
    return source
