"""`F.dense`: the pooled vector."""

from __future__ import annotations

from collections.abc import Sequence

from opensearch_multivector.indexing.sub_fields.base import Material, json_row
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Dense


def values(sub_field: Dense, spec: FieldSpec, documents: Sequence[Material]) -> list[str | None]:
    """See `Values`."""
    return [json_row(document.pooled) for document in documents]
