"""The k-NN clause that every stage over a `knn_vector` sends."""

from __future__ import annotations

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.queries.first_stages.base import Dsl


def knn(field: str, vector: FloatArray, k: int, filter_: Dsl | None) -> Dsl:
    """The ``k`` nearest by the field's own similarity.

    The user's filter goes inside the clause: applied afterwards it could leave fewer than ``k``.
    """
    clause: Dsl = {"vector": vector.tolist(), "k": k}
    if filter_ is not None:
        clause["filter"] = filter_
    return {"knn": {field: clause}}
