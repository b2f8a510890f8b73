"""`F.gauss`: mean and variance of the token vectors, so that an inner product is a divergence (`encoding.gaussian`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.encoding.gaussian import DEFAULT_FLOOR, gaussian_size
from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.sub_fields.base import SubField
from opensearch_multivector.plugin.sub_fields.knn import knn_vector

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class Gauss(SubField):
    """``floor``: the least variance, times the dimension."""

    name: ClassVar[str] = "gauss"

    floor: float = DEFAULT_FLOOR

    def __post_init__(self) -> None:
        if not self.floor > 0:
            raise InputError(f"floor of sub-field 'gauss' has to be above 0, not {self.floor}")

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return knn_vector(gaussian_size(spec.dim))

    def settings(self) -> dict[str, Any]:
        """See `SubField`."""
        return {"knn": True}
