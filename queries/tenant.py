"""What a searcher that is bound to a tenant lets its users ask for.

A tenant's clause holds for every hit, whatever a user's own filter says. But some clauses read *other* documents to
find out what matches: a `terms` lookup matches the tenant's documents that share a value with a document of somebody
else's, and so tells that value. So a filter beside a tenant is made of the clauses below, which look at nothing but
the document itself; what is not known is refused, scripts and `wrapper` (a clause in disguise) among it.
"""

from __future__ import annotations

from typing import Any

from opensearch_multivector.errors import InputError

# The parameters of a clause that hold clauses; none for one that only looks at values.
_ALLOWED: dict[str, tuple[str, ...]] = {
    "bool": ("must", "should", "filter", "must_not"),
    "constant_score": ("filter",),
    "dis_max": ("queries",),
    "boosting": ("positive", "negative"),
    "nested": ("query",),
} | dict.fromkeys(
    (
        *("match_all", "match_none", "exists", "ids", "term", "terms", "range", "prefix", "wildcard", "regexp"),
        *("fuzzy", "match", "match_phrase", "match_phrase_prefix", "match_bool_prefix", "multi_match"),
        *("query_string", "simple_query_string", "geo_distance", "geo_bounding_box", "geo_polygon"),
    ),
    (),
)


def check_within_tenant(option: str, clause: Any) -> None:
    """Raise InputError, naming the clause, where one in it could read documents beyond the tenant's."""
    if not isinstance(clause, dict):
        raise InputError(f"{option} beside a tenant holds {clause!r} where a query clause belongs")
    for kind, body in clause.items():
        if kind not in _ALLOWED:
            raise InputError(
                f"{option} beside a tenant may not hold {kind!r}, which could read documents of other tenants: "
                f"use {', '.join(sorted(_ALLOWED))}"
            )
        if not isinstance(body, dict):
            raise InputError(f"{option} beside a tenant has a clause {kind!r} without parameters: {body!r}")
        if kind == "terms" and any(isinstance(values, dict) for values in body.values()):
            raise InputError(f"{option} beside a tenant may not look up 'terms' in another document: list the values")
        if _ALLOWED[kind]:
            _check_inner(option, kind, body)


def _check_inner(option: str, kind: str, body: dict[str, Any]) -> None:
    for parameter, inner in body.items():
        if parameter in _ALLOWED[kind]:
            for each in inner if isinstance(inner, list) else [inner]:
                check_within_tenant(option, each)
        elif isinstance(inner, dict | list):  # a clause under an older name of its parameter, `inner_hits`, ...
            raise InputError(f"{option} beside a tenant may not hold {parameter!r} in {kind!r}")
