"""`F.fde`: the fixed dimensional encodings of a batch, computed together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opensearch_multivector.encoding.byte_vectors import stored_bytes
from opensearch_multivector.indexing.sub_fields.base import Material, json_row
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Fde


def values(sub_field: Fde, spec: FieldSpec, documents: Sequence[Material]) -> list[str | None]:
    """See `Values`."""
    if not documents:
        return []
    vectors = np.concatenate([document.vectors for document in documents])
    encoded = sub_field.encoding(spec).documents(vectors, [len(document.vectors) for document in documents])
    if sub_field.storage == "byte":
        return [str(row.tolist()) for row in stored_bytes(encoded, sub_field.limit)]
    return [json_row(row) for row in encoded]
