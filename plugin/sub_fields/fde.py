"""`F.fde`: MUVERA's fixed dimensional encoding of the token vectors (`encoding.fde`), for k-NN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.encoding.fde import FixedDimensionalEncoding
from opensearch_multivector.plugin.sub_fields.base import SubField
from opensearch_multivector.plugin.sub_fields.knn import check_limit, check_storage, knn_vector

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class Fde(SubField):
    """The encoding's parameters, and how it is stored: see `FixedDimensionalEncoding` and `plugin.sub_fields.knn`.

    ``limit``: the component that storage ``byte`` can just hold; larger for token vectors longer than 1.
    """

    name: ClassVar[str] = "fde"

    k_sim: int = 4
    dim_proj: int = 16
    r_reps: int = 18
    dim_final: int = 0
    directions: str = "orthogonal"
    center: bool = True
    seed: int = 42
    storage: str = "float"
    limit: float = 1.0

    def __post_init__(self) -> None:
        check_storage(self.storage, self.name)
        check_limit(self.limit, self.name)
        self._of(1)

    def encoding(self, spec: FieldSpec) -> FixedDimensionalEncoding:
        """The encoding of this field's token vectors."""
        return self._of(spec.dim)

    def _of(self, dim: int) -> FixedDimensionalEncoding:
        return FixedDimensionalEncoding(
            dim, self.k_sim, self.dim_proj, self.r_reps, self.dim_final, self.directions, self.center, self.seed
        )

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return knn_vector(self.encoding(spec).size, self.storage)

    def settings(self) -> dict[str, Any]:
        """See `SubField`."""
        return {"knn": True}
