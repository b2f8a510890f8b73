"""`gauss`: k-NN over documents as Gaussians, `F.gauss`; the inner product ranks by their divergence from the query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opensearch_multivector.encoding.gaussian import gaussian_query
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, Need
from opensearch_multivector.queries.first_stages.knn import KnnStage, components


@dataclass(frozen=True, slots=True)
class Gauss(KnnStage):
    """No parameters of its own: the variance's floor is the sub-field's."""

    name: ClassVar[str] = "gauss"
    needs: ClassVar[Need] = "vectors"
    sub_field: ClassVar[type[sub_fields.Gauss]] = sub_fields.Gauss

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`."""
        assert query.vectors is not None
        floor = spec.need(sub_fields.Gauss, "first stage 'gauss'").floor
        return self.nearest(spec.sub(self.name), components(gaussian_query(query.vectors, floor)), window_size, filter_)
