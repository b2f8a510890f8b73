"""Which fields a filter reads, told without a cluster; hostile filters get a sentence and nothing else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.sidecar import Sidecar
from opensearch_multivector.queries.filter_fields import check_filter

SIDECAR = Sidecar("osmv-sidecar-articles-mv", "articles", frozenset(["lang", "author", "author.name", "place"]))

HELD: list[dict[str, Any]] = [
    {"match_all": {}},
    {"ids": {"values": ["a"]}},
    {"term": {"lang": "en"}},
    {"term": {"_id": "a"}},
    {"terms": {"lang": {"index": "other", "id": "1", "path": "langs"}, "boost": 2}},
    {"exists": {"field": "author"}},
    {"geo_distance": {"distance": "1km", "place": [1, 2], "distance_type": "plane"}},
    {"nested": {"path": "author", "query": {"match": {"author.name": {"query": "x"}}}}},
    {"bool": {"must": [{"term": {"lang": "en"}}], "must_not": {"exists": {"field": "lang"}}, "boost": 1}},
    {"dis_max": {"queries": [{"constant_score": {"filter": {"prefix": {"lang": "e"}}}}]}},
]
NOT_HELD: list[tuple[dict[str, Any], str]] = [
    ({"term": {"year": 1}}, "year"),
    ({"term": {"author.age": 1}}, "author.age"),
    ({"exists": {"field": "year"}}, "year"),
    ({"bool": {"must_not": [{"bool": {"should": {"range": {"year": {"gte": 1}}}}}]}}, "year"),
    ({"nested": {"path": "author", "query": {"match": {"author.mail": "x"}}}}, "author.mail"),
    ({"constant_score": {"filter": {"fuzzy": {"year": "1"}}}}, "year"),
]


@pytest.mark.parametrize("clause", HELD, ids=str)
def test_what_the_sidecar_holds_is_let_through(clause: dict[str, Any]) -> None:
    before = json.dumps(clause)
    check_filter(clause, SIDECAR)
    assert json.dumps(clause) == before


@pytest.mark.parametrize(("clause", "field"), NOT_HELD, ids=str)
def test_what_it_does_not_hold_is_named(clause: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=f"reads field '{field}'.*--filter-field {field}"):
        check_filter(clause, SIDECAR)


@pytest.mark.parametrize("kind", ["script", "wrapper", "query_string", "multi_match", "terms_set", "percolate", ""])
def test_a_clause_that_may_read_anything_is_refused(kind: str) -> None:
    with pytest.raises(InputError, match="can't be told which fields it reads"):
        check_filter({"bool": {"filter": [{kind: {"field": "lang"}}]}}, SIDECAR)


NAMES = st.sampled_from(
    ["bool", "must", "should", "nested", "query", "term", "terms", "exists", "field", "lang", "year"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | NAMES, inner, max_size=3),
    max_leaves=20,
)
WAYS = st.lists(st.sampled_from(["bool", "nested", "constant_score", "dis_max"]), max_size=6)


@given(JSON)
def test_hostile_filters_get_a_sentence(clause: Any) -> None:
    """Or pass, and every field that they read is held: nothing else is raised."""
    with contextlib.suppress(InputError):
        check_filter(clause, SIDECAR)


@given(WAYS)
def test_no_way_hides_a_field(way: list[str]) -> None:
    places = {"bool": "must_not", "nested": "query", "constant_score": "filter", "dis_max": "queries"}
    clause: dict[str, Any] = {"term": {"year": 1}}
    for kind in way:
        clause = {kind: {places[kind]: [{"match_all": {}}, clause]}}
    with pytest.raises(InputError, match="reads field 'year'"):
        check_filter(clause, SIDECAR)


def test_a_very_deep_filter_is_followed_to_its_end() -> None:
    clause: dict[str, Any] = {"term": {"year": 1}}
    for _ in range(20_000):
        clause = {"bool": {"must": [clause]}}
    with pytest.raises(InputError, match="reads field 'year'"):
        check_filter(clause, SIDECAR)
    while "bool" in clause:  # taken apart from outside: freed as a whole it would be freed by recursion
        clause = clause["bool"]["must"][0]
