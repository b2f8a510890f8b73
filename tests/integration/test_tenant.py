"""A searcher's tenant, a user's filter and a stage's min_score hold for every first stage, rerank and fusion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from node_under_test import needs_painless
from opensearchpy import OpenSearch, Transport
from small_index import EVERY_RERANK, SmallIndex, make_index, make_query

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.connection import connect_async
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages import FIRST_STAGES
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

QUERY = make_query()
TENANT = {"term": {"group": "odd"}}
OTHERS: dict[str, Any] = {"term": {"group": "even"}}
# `seismic` has an index of its own: OpenSearch lets no index have both k-NN and `sparse_vector` fields.
STAGES = [name for name in FIRST_STAGES if name != "seismic"]
WIDENING: list[dict[str, Any]] = [
    {"match_all": {}},
    OTHERS,
    {"terms": {"group": ["odd", "even"]}},
    {"bool": {"should": [{"match_all": {}}, OTHERS], "minimum_should_match": 0}},
    {"bool": {"must_not": [TENANT]}},
    {"bool": {"must_not": [{"bool": {"must_not": [{"match_all": {}}]}}]}},
    {"query_string": {"query": "group:even OR *:*"}},
]


class Changing(Transport):
    """After the first search it gives the best document to another tenant."""

    victim: tuple[str, str, dict[str, Any]] | None = None

    def perform_request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
        answer = super().perform_request(method, url, *args, **options)
        if url.endswith(("/_search", "/_msearch")) and self.victim is not None:
            (index, doc_id, body), self.victim = self.victim, None
            super().perform_request("PUT", f"/{index}/_doc/{doc_id}", params={"refresh": "true"}, body=body)
        return answer


@pytest.fixture(scope="module")
def small(client: OpenSearch) -> Iterator[SmallIndex]:
    name = "osmv-test-tenant"
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    yield make_index(client, name, count=30, shards=1)
    client.indices.delete(index=name)


@pytest.mark.parametrize("rerank", [None, *EVERY_RERANK])
@pytest.mark.parametrize("stage", STAGES)
def test_no_filter_widens(stage: str, rerank: str | None, client: OpenSearch, small: SmallIndex) -> None:
    searcher = Searcher(client, small.name, tenant=TENANT)
    for clause in WIDENING:
        result = searcher.search(QUERY, first_stage=stage, rerank=rerank, size=30, filter=clause)
        assert {hit.source["group"] for hit in result.hits} <= {"odd"}, clause
    assert searcher.search(QUERY, first_stage=stage, rerank=rerank, filter=WIDENING[0]).hits


@pytest.mark.parametrize("fusion", ["engine", "client"])
@pytest.mark.parametrize("stage", ["bm25+dense", "0.3*bm25+0.7*dense", "bm25+dense+slim"])
async def test_no_filter_widens_a_fusion(
    stage: str, fusion: str, client: OpenSearch, node_url: str, small: SmallIndex
) -> None:
    options = {"first_stage": stage, "fusion": fusion, "size": 30, "explain": True}
    searcher = Searcher(client, small.name, tenant=TENANT)
    async with connect_async(node_url) as async_client:
        async_searcher = await AsyncSearcher.open(async_client, small.name, tenant=TENANT)
        for clause in WIDENING:
            results = [
                searcher.search(QUERY, filter=clause, **options),
                *searcher.search_many([QUERY], filter=clause, **options),
                await async_searcher.search(QUERY, filter=clause, **options),
            ]
            for result in results:
                assert {hit.source["group"] for hit in result.hits} <= {"odd"}, clause


@pytest.mark.parametrize("text", ["group:even OR *", '"}}, {"match_all": {}}', "* +even -odd"])
def test_a_query_text_is_text(text: str, client: OpenSearch, small: SmallIndex) -> None:
    query = EncodedQuery(text=f"{text} {QUERY.text}", vectors=QUERY.vectors, pooled=QUERY.pooled)
    hits = Searcher(client, small.name, tenant=TENANT).search(query, first_stage="bm25+dense", size=30).hits
    assert {hit.source["group"] for hit in hits} == {"odd"}


@pytest.mark.parametrize("clause", [{}, {"term": {}, "match_all": {}}, [TENANT], "group:odd"])
def test_what_is_no_clause_is_refused(clause: Any, client: OpenSearch, small: SmallIndex) -> None:
    with pytest.raises(InputError, match="tenant must be one OpenSearch query clause"):
        Searcher(client, small.name, tenant=clause)
    with pytest.raises(InputError, match="filter must be one OpenSearch query clause"):
        Searcher(client, small.name, tenant=TENANT).search(QUERY, filter=clause)


@pytest.mark.parametrize("rerank", ["client", pytest.param("painless", marks=needs_painless), "client:keep=20>client"])
def test_a_document_that_changes_its_tenant_between_rounds_is_gone(
    rerank: str, client: OpenSearch, node_url: str, index_name: str
) -> None:
    small = make_index(client, index_name, count=20, shards=1)
    options = {"first_stage": "bm25+dense", "rerank": rerank, "fusion": "client", "size": 10}
    before = Searcher(client, index_name, tenant=TENANT).search(QUERY, **options).hits
    with OpenSearch(node_url, transport_class=Changing) as changing:
        searcher = Searcher(changing, index_name, tenant=TENANT)
        body = small.body(before[0].doc_id) | {"group": "even"}
        changing.transport.victim = (index_name, before[0].doc_id, body)
        after = searcher.search(QUERY, **options).hits
    assert before[0].doc_id not in [hit.doc_id for hit in after]
    assert {hit.source["group"] for hit in after} == {"odd"}


@pytest.mark.parametrize("name", STAGES)
def test_min_score_of_a_stage_cuts_its_ranking(name: str, client: OpenSearch, small: SmallIndex) -> None:
    searcher = Searcher(client, small.name)
    whole = searcher.search(QUERY, first_stage=name, rerank=None, size=30).hits
    scores = sorted({hit.score for hit in whole})
    assert len(scores) > 2
    cut = (scores[len(scores) // 2] + scores[len(scores) // 2 - 1]) / 2
    kept = searcher.search(QUERY, first_stage=f"{name}:min_score={cut!r}", rerank=None, size=30).hits
    assert [hit.doc_id for hit in kept] == [hit.doc_id for hit in whole if hit.score >= cut]
    reranked = searcher.search(QUERY, first_stage=f"{name}:min_score={cut!r}", rerank=EVERY_RERANK[1], size=30).hits
    assert {hit.doc_id for hit in reranked} == {hit.doc_id for hit in kept}
