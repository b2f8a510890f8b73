"""`F.slim`: the document's terms and their weights; a document without any goes without."""

from __future__ import annotations

import json
from collections.abc import Sequence

from opensearch_multivector.encoding.sparsify import whole_terms
from opensearch_multivector.indexing.sub_fields.base import Material
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Slim


def values(sub_field: Slim, spec: FieldSpec, documents: Sequence[Material]) -> list[str | None]:
    """See `Values`."""
    named = (document.named(sub_field.per_token, sub_field.per_document) for document in documents)
    stored = (whole_terms(terms, sub_field.scale) if sub_field.scale else terms for terms in named)
    return [json.dumps(terms) if terms else None for terms in stored]
