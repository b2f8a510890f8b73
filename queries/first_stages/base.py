"""What a first stage is: a pure function from a query to OpenSearch DSL."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeAlias

from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery

Dsl: TypeAlias = dict[str, Any]
Need: TypeAlias = Literal["text", "pooled", "terms", "vectors", "dsl"]

# `index.max_result_window`: OpenSearch gives no more hits than this to one request.
MAX_WINDOW = 10_000


@dataclass(frozen=True, slots=True)
class FirstStage(ABC):
    """A frozen dataclass whose fields are the stage's parameters.

    ``needs``: the part of an `EncodedQuery` it reads. ``sub_field``: the class of the sub-field it searches (None: one
    that is always there). ``of_text``: it searches the documents' texts, which no sidecar holds. ``url_parameters``:
    what its `_search` needs in the URL. ``min_score``: candidates below this score of the stage are left out.
    """

    name: ClassVar[str]
    needs: ClassVar[Need]
    sub_field: ClassVar[type[Any] | None] = None
    of_text: ClassVar[bool] = False
    url_parameters: ClassVar[Mapping[str, str]] = MappingProxyType({})

    min_score: float = -inf

    @abstractmethod
    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """The query clause that finds the ``window_size`` best; the user's filter must hold for each.

        ``spec`` has its artifacts loaded. Called where the index has the sub-field; no I/O.
        """

    def extra(self, spec: FieldSpec, query: EncodedQuery, window_size: int) -> Dsl:
        """What else the request's body needs, say another ``size``."""
        return {}

    def scores(self, spec: FieldSpec, query: EncodedQuery, hits: Sequence[dict[str, Any]]) -> list[float]:
        """A score for each of the request's hits; where they are not in falling order, the hits are sorted by them."""
        return [hit["_score"] for hit in hits]

    def scored_by_engine(self) -> bool:
        """Whether the hits' own scores are the stage's: then OpenSearch can cut and fuse by them."""
        return type(self).scores is FirstStage.scores

    def check(self, spec: FieldSpec) -> None:
        """Raise MismatchError where the index lacks the sub-field."""
        if self.sub_field is not None:
            spec.need(self.sub_field, f"first stage {self.name!r}")


def filtered(scoring: Dsl, filter_: Dsl | None) -> Dsl:
    """The scoring clause restricted to what the user's filter lets through, with its scores unchanged."""
    return scoring if filter_ is None else {"bool": {"must": [scoring], "filter": [filter_]}}
