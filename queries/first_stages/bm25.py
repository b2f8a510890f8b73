"""`bm25`: the words of the query against `F.text`, the BM25 copy of the encoded text fields."""

from __future__ import annotations

from opensearch_multivector.plugin.fields import TEXT, FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage, filtered


def _dsl(spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
    return filtered({"match": {spec.sub(TEXT): {"query": query.text}}}, filter_)


BM25 = FirstStage("bm25", needs="text", dsl=_dsl)
