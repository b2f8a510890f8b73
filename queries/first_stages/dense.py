"""`dense`: k-NN over one pooled vector per document, `F.dense`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, Need
from opensearch_multivector.queries.first_stages.knn import KnnStage, components


@dataclass(frozen=True, slots=True)
class Dense(KnnStage):
    """No parameters of its own."""

    name: ClassVar[str] = "dense"
    needs: ClassVar[Need] = "pooled"
    sub_field: ClassVar[type[sub_fields.Dense]] = sub_fields.Dense

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`."""
        assert query.pooled is not None
        return self.nearest(spec.sub(self.name), components(query.pooled), window_size, filter_)
