"""`F.seismic`: the document's terms by number; a document without any goes without."""

from __future__ import annotations

import json
from collections.abc import Sequence

from opensearch_multivector.encoding.seismic import document_numbers
from opensearch_multivector.indexing.sub_fields.base import Material
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Seismic


def values(sub_field: Seismic, spec: FieldSpec, documents: Sequence[Material]) -> list[str | None]:
    """See `Values`."""
    weights = [document.weights(sub_field.per_token, sub_field.per_document) for document in documents]
    return [json.dumps(document_numbers(terms)) if terms else None for terms in weights]
