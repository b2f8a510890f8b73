"""What a reduction is: fewer token vectors, or fewer dimensions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray
from opensearch_multivector.errors import InputError

State: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class DocumentTokens:
    """A document's tokens: ``vectors`` (n, dim) float32, ``offsets`` (n, 2) int32 spans in ``text``; None: unknown.

    Special tokens have the span (0, 0).
    """

    vectors: FloatArray
    offsets: IntArray | None = None
    text: str | None = None


class Reduction(ABC):
    """A frozen dataclass of parameters.

    ``needs_training``: it works with arrays that `train` learns, ``needs_queries``: from queries too. ``needs_text``:
    documents must bring text and offsets. ``keeps_tokens``: it only changes dimensions, each token stays where it was;
    the others leave dimensions and queries alone.

    Every reduction keeps lengths: where the vectors that it gets have norm 1, so have those that it gives. (Vectors of
    zeros stay, and vectors that cancel each other out become such.)
    """

    __slots__ = ()

    name: ClassVar[str]
    needs_training: ClassVar[bool] = False
    needs_queries: ClassVar[bool] = False
    needs_text: ClassVar[bool] = False
    keeps_tokens: ClassVar[bool] = False

    @abstractmethod
    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """The document's tokens, fewer or shorter; at least one where there was one.

        Raises InputError where `needs_text` and there is none.
        """

    def query(self, vectors: FloatArray, state: State) -> FloatArray:
        """The query's token vectors, of the documents' new dimension: (n_tokens, out_dim)."""
        return vectors

    def out_dim(self, dim: int) -> int:
        """The dimension that vectors of ``dim`` get. Raises InputError where there is none."""
        return dim

    def train(self, documents: Sequence[FloatArray], queries: Sequence[FloatArray]) -> State:
        """Learn from token vectors of a sample of documents, and of queries where there are any.

        Raises InputError where there is not what it learns from.
        """
        return {}


def check_least(name: str, parameter: str, value: int, least: int) -> None:
    """Raise InputError where a parameter of a reduction is below what makes sense."""
    if value < least:
        raise InputError(f"reduction {name!r}: {parameter} must be {least} or more, not {value}")


def check_dim(name: str, wanted: int, dim: int) -> int:
    """``wanted`` dimensions of ``dim``. Raises InputError where there are fewer."""
    if wanted > dim:
        raise InputError(f"reduction {name!r}: vectors have {dim} dimensions, {wanted} can't be kept of them")
    return wanted
