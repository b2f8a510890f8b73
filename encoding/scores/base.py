"""What a score is: similarities of query and document vectors to one number per document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from opensearch_multivector.encoding.encoders.base import FloatArray

# ``similarities``: (sum(counts), n_query) float32, documents one after the other. Returns (len(counts),) float32.
Score: TypeAlias = Callable[[FloatArray, Sequence[int]], FloatArray]
