"""`F.bits`: the token vectors again, one bit a dimension (codec `bit`), for a cheap rerank before the good one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.plugin.sub_fields.base import SubField

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class Bits(SubField):
    """No parameters."""

    name: ClassVar[str] = "bits"

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return {"type": "binary", "doc_values": True}
