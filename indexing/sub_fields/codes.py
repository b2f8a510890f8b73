"""`F.codes`: the document's centroids, each once."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from opensearch_multivector.encoding.code_terms import code_terms
from opensearch_multivector.indexing.sub_fields.base import Material
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Codes


def values(sub_field: Codes, spec: FieldSpec, documents: Sequence[Material]) -> list[str | None]:
    """See `Values`."""
    if not documents:
        return []
    assert spec.codebook is not None
    ids = spec.codebook.assign(np.concatenate([document.vectors for document in documents]))
    ends = np.cumsum([len(document.vectors) for document in documents])
    return [json.dumps(code_terms(own)) for own in np.split(ids, ends[:-1])]
