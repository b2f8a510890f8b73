"""`F.pq`: the pooled vector as product-quantised terms, one for each sub-vector (`encoding.subvector_terms`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.sub_fields.base import SubField
from opensearch_multivector.plugin.sub_fields.codes import TERMS_ONLY

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec

# A query needs a clause or more for each part, and OpenSearch takes 1,024.
_MAX_PARTS = 512
_USUAL_PARTS = 128


@dataclass(frozen=True, slots=True)
class Pq(SubField):
    """``parts``: sub-vectors of a vector, of which the dimension is a multiple; 0: as many as go into it, at most 128.

    ``centroids``: of each part. Many parts of few centroids: a query can ask for most of them within 1,024 clauses.
    """

    name: ClassVar[str] = "pq"
    artifact: ClassVar[str | None] = "subvectors"

    parts: int = 0
    centroids: int = 8

    def __post_init__(self) -> None:
        if self.centroids < 1:
            raise InputError(f"centroids of sub-field 'pq' has to be at least 1, not {self.centroids}")
        if self.parts < 0:
            raise InputError(f"parts of sub-field 'pq' can't be negative, it is {self.parts}")
        if self.parts > _MAX_PARTS:
            raise InputError(f"parts of sub-field 'pq' can be at most {_MAX_PARTS}, not {self.parts:,}")

    def parts_of(self, dim: int) -> int:
        """How many sub-vectors a vector of ``dim`` dimensions has."""
        return self.parts or max(parts for parts in range(1, _USUAL_PARTS + 1) if dim % parts == 0)

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return dict(TERMS_ONLY)
