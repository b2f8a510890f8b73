"""Token pooling: tokens that are alike become one (Clavié, Chaffin & Adams 2024, "Reducing the footprint of multi-
vector retrieval with minimal performance impact via token pooling", section 3: hierarchical clustering with Ward's
method).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State, check_least
from opensearch_multivector.encoding.reductions.merging import merged
from opensearch_multivector.encoding.reductions.ward import ward


@dataclass(frozen=True, slots=True)
class Pool(Reduction):
    """A document of n tokens keeps ceil(n / factor) vectors: the normalised means of Ward clusters."""

    name: ClassVar[str] = "pool"

    factor: int = 2
    protect: int = 0

    def __post_init__(self) -> None:
        check_least(self.name, "factor", self.factor, 1)
        check_least(self.name, "protect", self.protect, 0)

    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """The pooled tokens, in the order of the first token of each."""
        count = len(tokens.vectors)
        rest = tokens.vectors[self.protect :]
        if not len(rest):
            return tokens
        groups = ward(rest, -(-len(rest) // self.factor)) + self.protect
        return merged(tokens, np.concatenate([np.arange(min(self.protect, count)), groups]))
