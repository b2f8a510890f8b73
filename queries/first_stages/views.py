"""`views`: k-NN over a few vectors per document, `F.views`; a document scores by the one nearest to the query.

The query is its mean token vector, scaled to norm 1: after the index's reductions it has the views' dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opensearch_multivector.encoding.encoders.pooling import mean_pooled
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, Need
from opensearch_multivector.queries.first_stages.knn import KnnStage, components


@dataclass(frozen=True, slots=True)
class Views(KnnStage):
    """No parameters of its own."""

    name: ClassVar[str] = "views"
    needs: ClassVar[Need] = "vectors"
    sub_field: ClassVar[type[sub_fields.Views]] = sub_fields.Views

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`."""
        assert query.vectors is not None
        return self.nearest_nested(spec.sub(self.name), components(mean_pooled(query.vectors)), window_size, filter_)
