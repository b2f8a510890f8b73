"""What sub-fields are made of, and how numbers are written."""

from __future__ import annotations

from dataclasses import dataclass

from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray, TokenTerms
from opensearch_multivector.encoding.sparsify import Terms


@dataclass(frozen=True, slots=True)
class Material:
    """One document, encoded and checked.

    ``vectors``: (n, spec.dim) float32, n >= 1, as they are stored, after the reductions; ``offsets`` (n, 2) int32 or
    None and ``text`` belong to them. ``pooled``: (encoder_dim,) float32, or of the dimension of ready pooled vectors.
    ``tokens``: SLIM's terms of each token, ``terms``: of the document; None where there are none.
    """

    doc_id: str
    text: str
    vectors: FloatArray
    offsets: IntArray | None
    pooled: FloatArray
    tokens: TokenTerms | None = None
    terms: Terms | None = None


def json_row(row: FloatArray) -> str:
    """A vector as a JSON array: nine significant digits bring every float32 back, in half the bytes of a repr."""
    return "[" + ("%.9g," * len(row) % tuple(row.tolist()))[:-1] + "]"
