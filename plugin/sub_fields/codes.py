"""`F.codes`: the codebook centroids that a document's token vectors fall on, as terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.sub_fields.base import SubField

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec

# Terms alone: no doc values, no norms, no positions; the score of a match is the boost that the query gives.
TERMS_ONLY = {"type": "keyword", "doc_values": False, "similarity": "boolean"}


@dataclass(frozen=True, slots=True)
class Codes(SubField):
    """``centroids``: size of the codebook; 0: by the number of token vectors in the collection."""

    name: ClassVar[str] = "codes"
    artifact: ClassVar[str | None] = "codebook"

    centroids: int = 0

    def __post_init__(self) -> None:
        if self.centroids < 0:
            raise InputError(f"centroids of sub-field 'codes' can't be negative, it is {self.centroids}")

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return dict(TERMS_ONLY)
