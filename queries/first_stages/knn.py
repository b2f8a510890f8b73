"""What every stage over a `knn_vector` shares: the clause, and its score read back."""

from __future__ import annotations

from dataclasses import dataclass

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.sub_fields.knn import NESTED_VECTOR
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage


@dataclass(frozen=True, slots=True)
class KnnStage(FirstStage):
    """``ef_search``: how many neighbours HNSW keeps in view; more find the nearest more surely and take longer.

    0: as many as are asked for, which is k-NN's own choice in the Lucene engine.
    """

    ef_search: int = 0

    def __post_init__(self) -> None:
        if self.ef_search < 0:
            raise InputError(f"ef_search of first stage {self.name!r} can't be negative, it is {self.ef_search}")

    def nearest(self, field: str, vector: list[float] | list[int], k: int, filter_: Dsl | None) -> Dsl:
        """The ``k`` nearest on each shard by the field's own similarity.

        The user's filter goes inside the clause: applied afterwards it could leave fewer than ``k``.
        """
        clause: Dsl = {"vector": vector, "k": k}
        if self.ef_search:
            clause["method_parameters"] = {"ef_search": self.ef_search}
        if filter_ is not None:
            clause["filter"] = filter_
        return {"knn": {field: clause}}

    def nearest_nested(self, field: str, vector: list[float] | list[int], k: int, filter_: Dsl | None) -> Dsl:
        """The ``k`` documents on each shard whose best vector is nearest; the score is of that vector."""
        query = self.nearest(f"{field}.{NESTED_VECTOR}", vector, k, filter_)
        return {"nested": {"path": field, "score_mode": "max", "query": query}}


def components(vector: FloatArray) -> list[float]:
    """A vector as it goes into a request."""
    row: list[float] = vector.tolist()
    return row


def inner_product(score: float) -> float:
    """What Lucene made the score of: 1 + x of an inner product x >= 0, 1 / (1 - x) of a negative one."""
    return score - 1 if score >= 1 else 1 - 1 / score
