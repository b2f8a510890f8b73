"""`F.gauss`: the document as a Gaussian."""

from __future__ import annotations

from collections.abc import Sequence

from opensearch_multivector.encoding.gaussian import gaussian_document
from opensearch_multivector.indexing.sub_fields.base import Material, json_row
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Gauss


def values(sub_field: Gauss, spec: FieldSpec, documents: Sequence[Material]) -> list[str | None]:
    """See `Values`."""
    return [json_row(gaussian_document(document.vectors, sub_field.floor)) for document in documents]
