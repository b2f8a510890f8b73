"""`F.views`: a few vectors per document, each for one of the things it speaks of (`encoding.views`), for k-NN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.sub_fields.base import SubField
from opensearch_multivector.plugin.sub_fields.knn import nested_knn_vectors

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class Views(SubField):
    """``count``: the most views of a document."""

    name: ClassVar[str] = "views"

    count: int = 4

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"count of sub-field 'views' has to be at least 1, not {self.count}")

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return nested_knn_vectors(spec.dim)

    def settings(self) -> dict[str, Any]:
        """See `SubField`."""
        return {"knn": True}
