"""`F.slim`: SLIM's vocabulary terms of a document, each with its largest weight over the tokens (Li et al. 2023).

Also for learned-sparse weights that come with the documents (uniCOIL, DeepImpact, SPLADE): they are one weight a term.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.sub_fields.base import SubField, check_not_negative

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class Slim(SubField):
    """``per_token``, ``per_document``: the heaviest terms that a token and the document keep; 0: all there are.

    ``scale``: weights are multiplied by it and rounded to whole numbers, those of 0 left out; 0: as they are.
    Pyserini's SLIM has 256 / 5 = 51.2. OpenSearch keeps nine significant bits of a weight: whole numbers up to 511 are
    exact.
    ``keep``: the weights stay in `_source`, too, so that they can be had back; from the inverted index they can't.
    """

    name: ClassVar[str] = "slim"
    needs_terms: ClassVar[bool] = True

    per_token: int = 0
    per_document: int = 0
    scale: float = 0.0
    keep: bool = False

    def __post_init__(self) -> None:
        check_not_negative(self, "per_token", "per_document", "scale")
        if not isfinite(self.scale):
            raise InputError(f"scale of sub-field 'slim' must be a finite number, not {self.scale}")

    @property
    def in_source(self) -> bool:
        """See `SubField`."""
        return self.keep

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        return {"type": "rank_features"}
