"""`bm25`: the words of the query against `F.text`, the BM25 copy of the encoded text fields.

Where the field was attached to an index that was there before, there is no such copy: then against the text fields
themselves, each with its own analyzer and statistics, and their scores added up.
"""

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
    of_text: ClassVar[bool] = True

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`."""
        fields = [spec.sub(TEXT)] if spec.has_text_copy else list(spec.text_fields)
        if len(fields) == 1:
            return filtered({"match": {fields[0]: {"query": query.text}}}, filter_)
        return filtered({"multi_match": {"query": query.text, "fields": fields, "type": "most_fields"}}, filter_)
