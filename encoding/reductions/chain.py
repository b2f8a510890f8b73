"""Several reductions, one after the other, with what they have learnt."""

from __future__ import annotations

from collections.abc import Sequence

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State
from opensearch_multivector.errors import MismatchError


class Reducer:
    """Applies reductions in order. ``state``: arrays of all of them, named ``<position>.<name>`` as `train` gives."""

    def __init__(self, reductions: Sequence[Reduction], state: State | None = None) -> None:
        self._reductions = tuple(reductions)
        self._states = [_own(state or {}, position) for position in range(len(self._reductions))]

    @property
    def needs_training(self) -> bool:
        """Whether any of them learns from a sample."""
        return any(reduction.needs_training for reduction in self._reductions)

    @property
    def needs_queries(self) -> bool:
        """Whether any of them learns from queries, too."""
        return any(reduction.needs_queries for reduction in self._reductions)

    @property
    def needs_text(self) -> bool:
        """Whether documents must bring their text and their tokens' spans in it."""
        return any(reduction.needs_text for reduction in self._reductions)

    @property
    def keeps_tokens(self) -> bool:
        """Whether a document has as many vectors after all of them as before, each for the same token."""
        return all(reduction.keeps_tokens for reduction in self._reductions)

    def document(self, tokens: DocumentTokens) -> DocumentTokens:
        """A document's tokens, reduced. Raises MismatchError where something has not been trained."""
        for reduction, state in self._steps():
            tokens = reduction.document(tokens, state)
        return tokens

    def query(self, vectors: FloatArray) -> FloatArray:
        """A query's token vectors to the documents' dimension; raises as `document`."""
        for reduction, state in self._steps():
            vectors = reduction.query(vectors, state)
        return vectors

    def out_dim(self, dim: int) -> int:
        """The dimension that vectors of ``dim`` get. Raises InputError where there is none."""
        for reduction in self._reductions:
            dim = reduction.out_dim(dim)
        return dim

    def train(self, documents: Sequence[DocumentTokens], queries: Sequence[FloatArray] = ()) -> State:
        """Train those that need it, each on what the ones before it leave; returns the state for a new Reducer."""
        learnt: dict[str, State] = {}
        for position, reduction in enumerate(self._reductions):
            own: State = {}
            if reduction.needs_training:
                own = reduction.train([tokens.vectors for tokens in documents], queries)
                learnt[str(position)] = own
            documents = [reduction.document(tokens, own) for tokens in documents]
            queries = [reduction.query(vectors, own) for vectors in queries]
        return {f"{position}.{name}": array for position, state in learnt.items() for name, array in state.items()}

    def _steps(self) -> list[tuple[Reduction, State]]:
        for reduction, state in zip(self._reductions, self._states, strict=True):
            if reduction.needs_training and not state:
                raise MismatchError(f"reduction {reduction.name!r} has not been trained")
        return list(zip(self._reductions, self._states, strict=True))


def _own(state: State, position: int) -> State:
    prefix = f"{position}."
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
