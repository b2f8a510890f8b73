"""`F.views`: one object for each view."""

from __future__ import annotations

from collections.abc import Sequence

from opensearch_multivector.encoding.views import document_views
from opensearch_multivector.indexing.sub_fields.base import Material, json_row
from opensearch_multivector.indexing.sub_fields.tokens import nested
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Views


def values(sub_field: Views, spec: FieldSpec, documents: Sequence[Material]) -> list[str | None]:
    """See `Values`."""
    return [nested(map(json_row, document_views(document.vectors, sub_field.count))) for document in documents]
