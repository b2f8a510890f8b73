"""`F.dense`: one pooled vector per document, for k-NN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.sub_fields.base import SubField
from opensearch_multivector.plugin.sub_fields.knn import knn_vector

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class Dense(SubField):
    """``dim``: of vectors that each document brings ready-made, of any model or API; 0: the encoder's own vectors."""

    name: ClassVar[str] = "dense"

    dim: int = 0

    def __post_init__(self) -> None:
        if self.dim < 0:
            raise InputError(f"dim of sub-field 'dense' can't be negative, it is {self.dim}")

    @property
    def ready(self) -> bool:
        """Whether the vectors are brought ready-made: then queries bring theirs, too."""
        return self.dim > 0

    @property
    def needs_vectors(self) -> bool:
        """See `SubField`."""
        return not self.ready

    def dimension(self, spec: FieldSpec) -> int:
        """Of the stored vector."""
        return self.dim or spec.encoder_dim

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return knn_vector(self.dimension(spec))

    def settings(self) -> dict[str, Any]:
        """See `SubField`."""
        return {"knn": True}
