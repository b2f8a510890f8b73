"""`F.tokens`: every token vector by itself, for k-NN over tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.plugin.sub_fields.base import SubField
from opensearch_multivector.plugin.sub_fields.knn import check_limit, check_storage, nested_knn_vectors

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class Tokens(SubField):
    """``storage``: see `plugin.sub_fields.knn`; ``limit``: the largest component that storage ``byte`` can hold.

    The dearest of all sub-fields: a Lucene document and a node of the HNSW graph for each token.
    """

    name: ClassVar[str] = "tokens"

    storage: str = "float"
    limit: float = 1.0

    def __post_init__(self) -> None:
        check_storage(self.storage, self.name)
        check_limit(self.limit, self.name)

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return nested_knn_vectors(spec.dim, self.storage)

    def settings(self) -> dict[str, Any]:
        """See `SubField`."""
        return {"knn": True}
