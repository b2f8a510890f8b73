"""`F.tokens`: one object for each token vector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opensearch_multivector.encoding.byte_vectors import stored_bytes
from opensearch_multivector.indexing.sub_fields.base import Material, json_row
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Tokens
from opensearch_multivector.plugin.sub_fields.knn import NESTED_VECTOR


def values(sub_field: Tokens, spec: FieldSpec, documents: Sequence[Material]) -> list[str | None]:
    """See `Values`."""
    if sub_field.storage == "byte":
        rows = (map(str, stored_bytes(document.vectors, sub_field.limit).tolist()) for document in documents)
        return [nested(written) for written in rows]
    return [nested(map(json_row, document.vectors)) for document in documents]


def nested(rows: Iterable[str]) -> str:
    """Vectors, written as JSON, as the objects of a nested sub-field."""
    return "[" + ",".join(f'{{"{NESTED_VECTOR}":{row}}}' for row in rows) + "]"
