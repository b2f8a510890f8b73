"""Which fields a filter reads: a sidecar holds only some of the document's, and would find nothing by another."""

from __future__ import annotations

from typing import Any

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.sidecar import Sidecar
from opensearch_multivector.queries.first_stages.base import Dsl

# The clauses of a clause.
_COMPOUND = {
    "bool": ("must", "should", "filter", "must_not"),
    "constant_score": ("filter",),
    "dis_max": ("queries",),
    "nested": ("query",),
}
# Clauses with a field's name for a key.
_OF_FIELD = frozenset(
    (
        *("term", "terms", "range", "prefix", "wildcard", "regexp", "fuzzy"),
        *("match", "match_phrase", "match_phrase_prefix", "match_bool_prefix"),
        *("geo_distance", "geo_bounding_box", "geo_polygon", "geo_shape"),
    )
)
# What else they may have for a key.
_OPTIONS = frozenset(
    ["_name", "boost", "distance", "distance_type", "ignore_unmapped", "type", "validation_method", "value_type"]
)
_OF_NO_FIELD = frozenset(["match_all", "match_none", "ids"])
# A document has the same in its sidecar.
_EVERYWHERE = frozenset(["_id", "_routing"])


def check_filter(filter_: Dsl, sidecar: Sidecar) -> None:
    """Raise InputError where the filter reads what the sidecar does not hold, or it can't be told what it reads."""
    for name in sorted(_fields(filter_)):
        if name not in sidecar.filter_fields | _EVERYWHERE:
            has = ", ".join(sorted(sidecar.filter_fields)) or "none"
            raise InputError(
                f"the filter reads field {name!r}, which the sidecar of index {sidecar.index!r} does not hold (it "
                f"holds {has}): detach it and attach again with --filter-field {name}, or search with first stage bm25"
            )


def _fields(filter_: Dsl) -> set[str]:
    found: set[str] = set()
    waiting: list[Any] = [filter_]
    while waiting:
        clause = waiting.pop()
        if not isinstance(clause, dict) or len(clause) != 1:
            raise InputError(f"in the filter a query clause is expected, not {str(clause)[:80]!r}")
        ((kind, body),) = clause.items()
        if kind in _OF_NO_FIELD:
            continue
        if not isinstance(body, dict):
            raise InputError(f"in the filter {kind!r} needs an object, not {str(body)[:80]!r}")
        if kind in _COMPOUND:
            for part in _COMPOUND[kind]:
                inner = body.get(part, [])
                waiting += inner if isinstance(inner, list) else [inner]
        elif kind == "exists" and isinstance(body.get("field"), str):
            found.add(body["field"])
        elif kind in _OF_FIELD:
            found |= body.keys() - _OPTIONS
        else:
            raise InputError(
                f"a filter with {str(kind)[:80]!r} can't be used on an index with a sidecar, as it can't be told which "
                f"fields it reads: filter by {', '.join(sorted((*_COMPOUND, *_OF_FIELD, 'exists')))}, or search with "
                "first stage bm25"
            )
    return found
