"""`fde`: k-NN over MUVERA's fixed dimensional encodings, `F.fde`; the inner product approximates MaxSim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opensearch_multivector.encoding.byte_vectors import query_bytes
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, Need
from opensearch_multivector.queries.first_stages.knn import KnnStage, components


@dataclass(frozen=True, slots=True)
class Fde(KnnStage):
    """No parameters of its own: those of the encoding are the sub-field's."""

    name: ClassVar[str] = "fde"
    needs: ClassVar[Need] = "vectors"
    sub_field: ClassVar[type[sub_fields.Fde]] = sub_fields.Fde

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`."""
        assert query.vectors is not None
        stored = spec.need(sub_fields.Fde, "first stage 'fde'")
        encoded = stored.encoding(spec).query(query.vectors)
        vector: list[float] | list[int] = components(encoded)
        if stored.storage == "byte":
            vector = query_bytes(encoded, stored.limit)[0].tolist()
        return self.nearest(spec.sub(self.name), vector, window_size, filter_)
