"""`bm25`: the words of the query against `F.text`, the BM25 copy of the encoded text fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opensearch_multivector.plugin.fields import TEXT, FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage, Need, filtered


@dataclass(frozen=True, slots=True)
class Bm25(FirstStage):
    """No parameters of its own."""

    name: ClassVar[str] = "bm25"
    needs: ClassVar[Need] = "text"

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`."""
        return filtered({"match": {spec.sub(TEXT): {"query": query.text}}}, filter_)
