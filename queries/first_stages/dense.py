"""`dense`: k-NN over one pooled vector per document, `F.dense`.

The user's filter goes inside the k-NN clause: applied afterwards it could leave fewer than ``window_size`` candidates.
"""

from __future__ import annotations

from opensearch_multivector.errors import MismatchError
from opensearch_multivector.plugin.fields import DENSE, FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage


def _dsl(spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
    if not spec.has_dense:
        raise MismatchError(f"first stage 'dense' needs {spec.sub(DENSE)}, which the index was made without")
    assert query.pooled is not None
    clause: Dsl = {"vector": query.pooled.tolist(), "k": window_size}
    if filter_ is not None:
        clause["filter"] = filter_
    return {"knn": {spec.sub(DENSE): clause}}


DENSE_STAGE = FirstStage("dense", needs="pooled", dsl=_dsl)
