"""`painless`: OpenSearch's own `lateInteractionScore` (3.3+, k-NN plugin), the baseline that needs nothing of ours.

It reads float arrays from `_source`, so the index must have been made with them (`F.floats`). With the inner product
the script gives, for each query token with best similarity s, 1 + s where s >= 0 and 1 / (1 - s) below: the transform
that keeps scores positive. Where no token's best similarity is negative, the script's score is MaxSim + number of query
tokens, and that number is taken off again, so that scores compare with the other reranks'. A token with s < 0 adds
1 / (1 - s) - 1 = s / (1 - s) instead of s: monotone in s, and off by less than s**2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.rerankers.base import Key, Reranked, Reranker, find, key_of

_SCRIPT = "lateInteractionScore(params.query_vectors, params.field, params._source, 'innerproduct')"


@dataclass(frozen=True, slots=True)
class Painless(Reranker):
    """See the module's text."""

    name: ClassVar[str] = "painless"
    needs: ClassVar[Literal["vectors", "terms"]] = "vectors"
    sub_field: ClassVar[type[sub_fields.Floats]] = sub_fields.Floats

    def hit_bytes(self, spec: FieldSpec) -> int:
        """See `Reranker`: an id and a score."""
        return 0

    def rider(self, spec: FieldSpec, query: EncodedQuery, window_size: int, page_end: int) -> dict[str, Any]:
        """See `Reranker`."""
        scored = _script_score({"match_all": {}}, spec, query)
        weights = {"query_weight": 0, "rescore_query_weight": 1}
        return {
            "rescore": {"window_size": window_size, "query": {"rescore_query": scored, **weights}},
            "size": page_end,
        }

    def body(self, spec: FieldSpec, query: EncodedQuery, keys: Sequence[Key]) -> dict[str, Any]:
        """See `Reranker`."""
        found = find(keys)
        return {**found, "query": _script_score(found["query"], spec, query), "_source": False}

    def read(self, spec: FieldSpec, query: EncodedQuery, hits: Sequence[dict[str, Any]]) -> Reranked:
        """See `Reranker`."""
        assert query.vectors is not None
        return Reranked({key_of(hit): hit["_score"] - len(query.vectors) for hit in hits})


def _script_score(clause: dict[str, Any], spec: FieldSpec, query: EncodedQuery) -> dict[str, Any]:
    assert query.vectors is not None
    params = {"query_vectors": query.vectors.tolist(), "field": spec.sub(sub_fields.Floats.name)}
    return {"script_score": {"query": clause, "script": {"source": _SCRIPT, "params": params}}}
