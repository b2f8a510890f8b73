"""`F.pq`: one term for each sub-vector of the pooled vector."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from opensearch_multivector.encoding.code_terms import code_terms
from opensearch_multivector.encoding.subvector_terms import SubvectorCodebook
from opensearch_multivector.indexing.sub_fields.base import Material
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Pq


def values(sub_field: Pq, spec: FieldSpec, documents: Sequence[Material]) -> list[str | None]:
    """See `Values`."""
    if not documents:
        return []
    codebook: SubvectorCodebook = spec.state["subvectors"]
    return [json.dumps(code_terms(own)) for own in codebook.assign(np.stack([each.pooled for each in documents]))]
