"""At most so many vectors for every document, so that each takes the same small space, as in ConstBERT (MacAvaney,
Mallia & Tonellotto 2025, "Efficient constant-space multi-vector retrieval").

ConstBERT learns a layer over the token axis together with its encoder, whose vectors are few from the start. Of other
encoders' tokens the fixed number is made by Ward's method, as in `pool`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State, check_least
from opensearch_multivector.encoding.reductions.merging import merged
from opensearch_multivector.encoding.reductions.ward import ward


@dataclass(frozen=True, slots=True)
class Count(Reduction):
    """``vectors``: how many a longer document is pooled to; a shorter one keeps its own."""

    name: ClassVar[str] = "count"

    vectors: int = 64

    def __post_init__(self) -> None:
        check_least(self.name, "vectors", self.vectors, 1)

    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """The pooled tokens, in the order of the first token of each."""
        return merged(tokens, ward(tokens.vectors, self.vectors))
