"""How many clauses a query may have, and the clause for one term of a keyword field."""

from __future__ import annotations

from opensearch_multivector.queries.first_stages.base import Dsl

# `indices.query.bool.max_clause_count` is 1,024 by default; room is left for the clauses of the user's filter.
MAX_CLAUSES = 960


def term_clause(field: str, term: str, weight: float) -> Dsl:
    """Documents with the term get ``weight``: the field's similarity, `boolean`, scores a match by its boost."""
    return {"term": {field: {"value": term, "boost": weight}}}
