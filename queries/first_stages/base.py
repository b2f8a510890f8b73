"""What a first stage is: a pure function from a query to OpenSearch DSL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery

Dsl: TypeAlias = dict[str, Any]
Need: TypeAlias = Literal["text", "pooled", "terms"]


@dataclass(frozen=True, slots=True)
class FirstStage:
    """``needs``: the part of an `EncodedQuery` it reads. ``dsl(spec, query, window_size, filter)``: the query clause.

    ``dsl`` raises MismatchError where the index lacks the sub-field that the stage searches.
    """

    name: str
    needs: Need
    dsl: Callable[[FieldSpec, EncodedQuery, int, Dsl | None], Dsl]


def filtered(scoring: Dsl, filter_: Dsl | None) -> Dsl:
    """The scoring clause restricted to what the user's filter lets through, with its scores unchanged."""
    return scoring if filter_ is None else {"bool": {"must": [scoring], "filter": [filter_]}}
