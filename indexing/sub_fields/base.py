"""What sub-fields are made of, and how numbers are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray, TokenTerms
from opensearch_multivector.encoding.sparsify import Terms, document_weights, feature_name, strongest


@dataclass(frozen=True, slots=True)
class Material:
    """One document, encoded and checked.

    ``vectors``: (n, spec.dim) float32, n >= 1, as they are stored, after the reductions (0 x 0 where the field has
    none, of which only sub-fields are then made that don't need them); ``offsets`` (n, 2) int32 or
    None and ``text`` belong to them. ``pooled``: (encoder_dim,) float32, or of the dimension of ready pooled vectors.
    ``tokens``: SLIM's terms of each token, of this ``vocabulary``; or ``terms``: those that came with the document, by
    feature name, the heaviest first; None where there are none.
    """

    doc_id: str
    text: str
    vectors: FloatArray
    offsets: IntArray | None
    pooled: FloatArray
    tokens: TokenTerms | None = None
    vocabulary: Sequence[str] = ()
    terms: Terms | None = None

    def weights(self, per_token: int, per_document: int) -> dict[int, float] | Terms:
        """The document's terms within these budgets (0: all), heaviest first; by vocabulary id where it has tokens."""
        if self.tokens is None:
            return dict(islice((self.terms or {}).items(), per_document or None))
        return document_weights(strongest(self.tokens, per_token or None), per_document or None)

    def named(self, per_token: int, per_document: int) -> Terms:
        """As `weights`, always by feature name."""
        weights = self.weights(per_token, per_document)
        return {self._name(term): weight for term, weight in weights.items()}

    def _name(self, term: int | str) -> str:
        return term if isinstance(term, str) else feature_name(self.vocabulary[term])


def json_row(row: FloatArray) -> str:
    """A vector as a JSON array: nine significant digits bring every float32 back, in half the bytes of a repr."""
    return "[" + ("%.9g," * len(row) % tuple(row.tolist()))[:-1] + "]"
