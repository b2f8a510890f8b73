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


@dataclass(frozen=True, slots=True)
class Pq(SubField):
    """``parts``: sub-vectors of a vector, ``centroids``: of each part. The dimension is a multiple of ``parts``."""

    name: ClassVar[str] = "pq"
    artifact: ClassVar[str | None] = "subvectors"

    parts: int = 48
    centroids: int = 256

    def __post_init__(self) -> None:
        for name in ("parts", "centroids"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} of sub-field 'pq' has to be at least 1, not {getattr(self, name)}")
        if self.parts > _MAX_PARTS:
            raise InputError(f"parts of sub-field 'pq' can be at most {_MAX_PARTS}, not {self.parts:,}")

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return dict(TERMS_ONLY)
