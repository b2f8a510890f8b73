"""`F.floats`: the token vectors as arrays of numbers."""

from __future__ import annotations

from collections.abc import Sequence

from opensearch_multivector.indexing.sub_fields.base import Material, json_row
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Floats


def values(sub_field: Floats, spec: FieldSpec, documents: Sequence[Material]) -> list[str | None]:
    """See `Values`."""
    return [f"[{','.join(map(json_row, document.vectors))}]" for document in documents]
