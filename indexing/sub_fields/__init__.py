"""What a document becomes in each sub-field, one file each, one table here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opensearch_multivector.indexing.sub_fields import (
    bits,
    codes,
    dense,
    fde,
    floats,
    gauss,
    pq,
    seismic,
    slim,
    token_terms,
    tokens,
    views,
)
from opensearch_multivector.indexing.sub_fields.base import Material
from opensearch_multivector.plugin.fields import FieldSpec

__all__ = ["VALUES", "Material", "Values"]

# A sub-field's values, as JSON, for a batch of documents in their order; None: the document goes without.
Values = Callable[[Any, FieldSpec, Sequence[Material]], Sequence[str | None]]

VALUES: dict[str, Values] = {
    "bits": bits.values,
    "codes": codes.values,
    "dense": dense.values,
    "fde": fde.values,
    "floats": floats.values,
    "gauss": gauss.values,
    "pq": pq.values,
    "seismic": seismic.values,
    "slim": slim.values,
    "token_terms": token_terms.values,
    "tokens": tokens.values,
    "views": views.values,
}
