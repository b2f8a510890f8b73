"""The first vectors of each document (Xiao et al. 2025, "MetaEmbed: Scaling multimodal retrieval at test-time with
flexible late interaction", section 3: Matryoshka multi-vector retrieval).

Right for encoders trained so that the first vectors say the most, such as MetaEmbed's nested groups; of other encoders
it keeps the document's beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State, check_least
from opensearch_multivector.encoding.reductions.merging import kept


@dataclass(frozen=True, slots=True)
class First(Reduction):
    """Keeps the first ``vectors`` of a document."""

    name: ClassVar[str] = "first"

    vectors: int = 64

    def __post_init__(self) -> None:
        check_least(self.name, "vectors", self.vectors, 1)

    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """The first tokens."""
        return kept(tokens, slice(self.vectors))
