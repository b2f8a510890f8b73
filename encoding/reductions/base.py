"""What a reduction is: fewer token vectors, or fewer dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray

State: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class DocumentTokens:
    """A document's tokens: ``vectors`` (n, dim) float32, ``offsets`` (n, 2) int32 spans in ``text``; None: unknown."""

    vectors: FloatArray
    offsets: IntArray | None = None
    text: str | None = None


class Reduction(Protocol):
    """A frozen dataclass of parameters.

    ``needs_training``: it works with arrays that `train` learns. ``needs_text``: documents must bring text and offsets.
    """

    name: ClassVar[str]
    needs_training: ClassVar[bool]
    needs_text: ClassVar[bool]

    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """The document's tokens, fewer or shorter; at least one where there was one."""

    def query(self, vectors: FloatArray, state: State) -> FloatArray:
        """The query's token vectors, of the documents' new dimension: (n_tokens, out_dim)."""

    def out_dim(self, dim: int) -> int:
        """The dimension that vectors of ``dim`` get. Raises InputError where there is none."""

    def train(self, documents: Sequence[FloatArray], queries: Sequence[FloatArray]) -> State:
        """Learn from token vectors of a sample of documents, and of queries where there are any."""
