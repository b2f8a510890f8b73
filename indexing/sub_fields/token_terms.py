"""`F.token_terms`: the terms of each token as a blob."""

from __future__ import annotations

from collections.abc import Sequence

import pybase64

from opensearch_multivector.encoding.sparsify import strongest
from opensearch_multivector.encoding.term_blob import MAX_TERMS, encode_terms
from opensearch_multivector.indexing.sub_fields.base import Material
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import TokenTerms


def values(sub_field: TokenTerms, spec: FieldSpec, documents: Sequence[Material]) -> list[str | None]:
    """See `Values`."""
    return [_value(sub_field, document) for document in documents]


def _value(sub_field: TokenTerms, document: Material) -> str | None:
    if document.tokens is None:
        return None
    blob = encode_terms(strongest(document.tokens, sub_field.per_token or MAX_TERMS), sub_field.weights)
    return f'"{pybase64.b64encode_as_string(blob)}"'
