"""`query`: a query clause of the caller's own, such as an application asks already: what it finds can be reranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import Dsl, FirstStage, Need, filtered


@dataclass(frozen=True, slots=True)
class Own(FirstStage):
    """No parameters of its own. It is asked in the user's index, never in a sidecar."""

    name: ClassVar[str] = "query"
    needs: ClassVar[Need] = "dsl"
    of_text: ClassVar[bool] = True

    def dsl(self, spec: FieldSpec, query: EncodedQuery, window_size: int, filter_: Dsl | None) -> Dsl:
        """See `FirstStage`."""
        assert query.dsl is not None
        if "hybrid" in query.dsl:  # its answer holds marks between the lists, which are no hits
            raise InputError("first stage 'query' takes no 'hybrid' clause: join first stages by +, which fuses them")
        return filtered(query.dsl, filter_)
