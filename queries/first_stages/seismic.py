"""`seismic`: SLIM's upper bound, or learned-sparse weights, by approximate search over `F.seismic` (3.3+).

The score is that of `slim`, of the query's ``top_n`` heaviest terms, with weights in bytes. Where the engine has built
its clusters it may miss documents, and with a filter that leaves more than ``k`` it may give fewer than it was asked
for: it drops what the filter refuses from the k it found. Below the sub-field's ``approximate_threshold`` the search is
exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opensearch_multivector.encoding.seismic import query_numbers
from opensearch_multivector.encoding.sparsify import upper_bound_weights
from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import READY_VECTORS, FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage, Need

# The engine rounds a query's weights to 255 steps up to this (its default `quantization_ceiling_search`).
_CEILING = 16.0


@dataclass(frozen=True, slots=True)
class Seismic(FirstStage):
    """``top_n``: terms of the query that count; ``heap_factor``: above 1 more clusters are looked into, below fewer.

    ``k``: candidates the engine looks for; 0: as many as are asked for.
    """

    name: ClassVar[str] = "seismic"
    needs: ClassVar[Need] = "terms"
    sub_field: ClassVar[type[sub_fields.Seismic]] = sub_fields.Seismic

    top_n: int = 64
    heap_factor: float = 2.0
    k: int = 0

    def __post_init__(self) -> None:
        if self.top_n < 1 or self.k < 0 or not self.heap_factor > 0:
            raise InputError("first stage 'seismic' needs top_n of at least 1, heap_factor above 0 and k of at least 0")

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`. Raises InputError where the query's terms can't be numbered as the documents' were."""
        numbers = query_numbers(_weights(spec, query))
        if not numbers:
            return {"match_none": {}}
        # A query's weights sum over its tokens: brought to the engine's range, and its scores back by the boost.
        scale = max(numbers.values()) / _CEILING
        heaviest = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))[: self.top_n]
        parameters: Dsl = {"k": self.k or window_size, "top_n": self.top_n, "heap_factor": self.heap_factor}
        if filter_ is not None:
            parameters["filter"] = filter_
        tokens = {number: weight / scale for number, weight in heaviest}
        clause = {"query_tokens": tokens, "boost": scale, "method_parameters": parameters}
        return {"neural_sparse": {spec.sub(self.name): clause}}


def _weights(spec: FieldSpec, query: EncodedQuery) -> dict[int, float] | dict[str, float]:
    """Documents' terms were numbered by vocabulary id where an encoder made them, by name where they were brought."""
    assert query.terms is not None
    assert spec.terms is not None
    if spec.terms.name == READY_VECTORS:
        return query.terms.upper
    if query.terms.tokens is None:
        raise InputError(
            "first stage 'seismic' needs the terms of each query token, as the index's own term encoder gives them: "
            "search with the query's text, or with first stage 'slim'"
        )
    return upper_bound_weights(query.terms.tokens)
