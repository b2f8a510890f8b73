"""Attempts to widen a tenant: query texts and filters that hypothesis makes, and clauses that read other documents."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch
from small_index import DIM, SmallIndex, make_index, make_query

from opensearch_multivector.errors import ClusterError, InputError
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

QUERY = make_query()
TENANT = {"term": {"group": "odd"}}
OTHERS: dict[str, Any] = {"term": {"group": "even"}}
INDEX = "osmv-test-tenant-injection"
SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Clauses that look at other documents than the one they match, and ways of dressing them up.
LOOKUP: dict[str, Any] = {"terms": {"title": {"index": INDEX, "id": "d000", "path": "title"}}}
READING: list[dict[str, Any]] = [
    LOOKUP,
    {"bool": {"must": {"bool": {"should": [LOOKUP]}}}},
    {"bool": {"mustNot": [LOOKUP]}},
    {"constant_score": {"filter": LOOKUP}},
    {"dis_max": {"queries": [{"match_all": {}}, LOOKUP]}},
    {"boosting": {"positive": {"match_all": {}}, "negative": LOOKUP, "negative_boost": 0.5}},
    {"nested": {"path": "mv.tokens", "query": LOOKUP}},
    {"nested": {"path": "mv.tokens", "query": {"match_all": {}}, "inner_hits": {}}},
    {"wrapper": {"query": base64.b64encode(json.dumps(OTHERS).encode()).decode()}},
    {"script": {"script": "true"}},
    {"script_score": {"query": {"match_all": {}}, "script": "1"}},
    {"function_score": {"query": LOOKUP}},
    {"more_like_this": {"fields": ["text"], "like": {"_index": INDEX, "_id": "d000"}}},
    {"percolate": {"field": "q", "index": INDEX, "id": "d000"}},
    {"geo_shape": {"place": {"indexed_shape": {"index": INDEX, "id": "d000", "path": "place"}}}},
    {"has_child": {"type": "child", "query": {"match_all": {}}}},
    {"terms_set": {"title": {"terms": ["d001"], "minimum_should_match_script": {"source": "1"}}}},
    {"bool": {"filter": [[LOOKUP]]}},
    {"bool": {"filter": None}},
    {"bool": [LOOKUP]},
    {"knn": {"mv.dense": {"vector": [0.1] * DIM, "k": 5, "filter": LOOKUP}}},
]


@pytest.fixture(scope="module")
def small(client: OpenSearch) -> Iterator[SmallIndex]:
    client.indices.delete(index=INDEX, params={"ignore_unavailable": "true"})
    yield make_index(client, INDEX, count=30, shards=1)
    client.indices.delete(index=INDEX)


LEAVES = st.one_of(
    st.sampled_from([{"match_all": {}}, {"match_none": {}}, OTHERS, TENANT]),
    st.builds(lambda values: {"terms": {"group": values}}, st.lists(st.sampled_from(["odd", "even", "*"]), max_size=3)),
    st.builds(lambda text: {"query_string": {"query": text, "lenient": True}}, st.text(max_size=20)),
    st.builds(lambda text: {"simple_query_string": {"query": text}}, st.text(max_size=20)),
    st.builds(
        lambda value: {"ids": {"values": value}}, st.lists(st.sampled_from(["d000", "d001", "d002"]), max_size=3)
    ),
    st.builds(lambda text: {"wildcard": {"title": text + "*"}}, st.sampled_from(["", "d", "d00"])),
    st.sampled_from([{"exists": {"field": "text"}}, {"range": {"title": {"gte": "d"}}}, {"regexp": {"group": ".*"}}]),
)


def compounds(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, min_size=1, max_size=3)
    kinds = st.sampled_from(["must", "should", "filter", "must_not"])
    return st.one_of(
        st.builds(lambda parts: {"bool": {**parts, "minimum_should_match": 0}}, st.dictionaries(kinds, several)),
        st.builds(lambda clauses: {"dis_max": {"queries": clauses}}, several),
        st.builds(lambda clause: {"constant_score": {"filter": clause, "boost": 1000}}, inner),
        st.builds(
            lambda one, other: {"boosting": {"positive": one, "negative": other, "negative_boost": 0.1}}, inner, inner
        ),
    )


CLAUSES = st.recursive(LEAVES, compounds, max_leaves=6)


@SETTINGS
@given(clause=CLAUSES, stage=st.sampled_from(["bm25", "dense", "codes", "slim", "bm25+dense"]))
def test_no_filter_that_is_taken_widens(
    clause: dict[str, Any], stage: str, client: OpenSearch, small: SmallIndex
) -> None:
    searcher = Searcher(client, INDEX, tenant=TENANT)
    with suppress(ClusterError):  # a text that is no query string
        for asked in (
            searcher.search(QUERY, first_stage=stage, size=30, filter=clause, explain=True),
            searcher.search(replace(QUERY, dsl=clause), first_stage="query", size=30),
        ):
            assert {small.groups[hit.doc_id] for hit in asked.hits} <= {"odd"}
            assert asked.total <= 15


NASTY = [
    "group:even",
    "*:*",
    '"}}, {"match_all": {}}',
    "d000 OR group:even",
    "even\u0000",
    "\\",
    "{{even}}",
    "[* TO *]",
]


@SETTINGS
@example(text=" ".join(NASTY))
@given(text=st.one_of(st.text(max_size=60), st.lists(st.sampled_from(NASTY), min_size=1).map(" ".join)))
def test_a_query_text_is_text(text: str, client: OpenSearch, small: SmallIndex) -> None:
    query = EncodedQuery(text=f"{text} {QUERY.text}", vectors=QUERY.vectors, pooled=QUERY.pooled)
    searcher = Searcher(client, INDEX, tenant=TENANT)
    for stage in ("bm25", "bm25+dense"):
        hits = searcher.search(query, first_stage=stage, size=30).hits
        assert hits
        assert {small.groups[hit.doc_id] for hit in hits} == {"odd"}


@pytest.mark.parametrize("clause", READING, ids=lambda clause: json.dumps(clause)[:40])
def test_a_clause_that_reads_beyond_the_document_is_refused(
    clause: dict[str, Any], client: OpenSearch, small: SmallIndex
) -> None:
    with pytest.raises(InputError, match="filter beside a tenant"):
        Searcher(client, INDEX, tenant=TENANT).search(QUERY, filter=clause)
    with pytest.raises(InputError, match="the query's dsl"):
        Searcher(client, INDEX, tenant=TENANT).search(replace(QUERY, dsl=clause), first_stage="query")


def test_what_a_lookup_would_tell(client: OpenSearch, small: SmallIndex) -> None:
    """Why lookups are refused: without that, whether a hit comes tells a value of another tenant's document."""
    client.index(index=INDEX, id="d001", body=small.body("d001") | {"title": "d000"}, refresh=True)
    told = {"bool": {"filter": [TENANT, LOOKUP]}}
    assert [hit["_id"] for hit in client.search(index=INDEX, body={"query": told})["hits"]["hits"]] == ["d001"]
    client.index(index=INDEX, id="d001", body=small.body("d001"), refresh=True)


@given(clause=CLAUSES)
def test_a_filter_is_beside_the_tenant_and_never_in_its_place(clause: dict[str, Any]) -> None:
    held = SearchRequest("q", filter=clause).within(TENANT)
    assert held.filter == {"bool": {"filter": [TENANT, clause]}}


@settings(max_examples=300)
@given(
    clause=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.one_of(st.text(max_size=5), st.sampled_from(["bool", "must", "terms", "nested", "query", "script"])),
                inner,
                max_size=3,
            ),
        ),
        max_leaves=12,
    )
)
def test_a_filter_of_any_shape_is_taken_or_refused_in_a_sentence(clause: Any) -> None:
    with suppress(InputError):
        SearchRequest("q", filter=clause).within(TENANT)
