"""`F.slim`: SLIM's vocabulary terms of a document, each with its largest weight over the tokens (Li et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.plugin.sub_fields.base import SubField

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class Slim(SubField):
    """No parameters."""

    name: ClassVar[str] = "slim"
    needs_terms: ClassVar[bool] = True

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return {"type": "rank_features"}
