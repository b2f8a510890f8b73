"""`F.floats`: the token vectors as arrays in `_source`, where OpenSearch's `lateInteractionScore` looks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.plugin.sub_fields.base import SubField

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class Floats(SubField):
    """No parameters."""

    name: ClassVar[str] = "floats"

    @property
    def in_source(self) -> bool:
        """See `SubField`: there they are read."""
        return True

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return {"type": "object", "enabled": False}
