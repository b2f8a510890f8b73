"""`F.token_terms`: the terms of each token as one blob, for SLIM's exact score (`encoding.term_blob`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.encoding.term_blob import MAX_TERMS, WEIGHTS
from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.sub_fields.base import SubField

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class TokenTerms(SubField):
    """``per_token``: the heaviest terms that a token keeps; 0: up to 255. ``weights``: "f16", "f32" or "u8"."""

    name: ClassVar[str] = "token_terms"
    needs_terms: ClassVar[bool] = True
    needs_tokens: ClassVar[bool] = True

    per_token: int = 0
    weights: str = "f16"

    def __post_init__(self) -> None:
        if not 0 <= self.per_token <= MAX_TERMS:
            raise InputError(f"per_token of sub-field 'token_terms' is 0 to {MAX_TERMS}, not {self.per_token}")
        if self.weights not in WEIGHTS:
            raise InputError(f"weights of sub-field 'token_terms' are {', '.join(WEIGHTS)}, not {self.weights!r}")

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return {"type": "binary", "doc_values": True}
