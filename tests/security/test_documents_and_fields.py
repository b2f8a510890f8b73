"""Document- and field-level security of the user's roles, through first stages, reranks and explain.

The security plugin enforces it in each shard, so nothing here may depend on what the client leaves out.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml
from opensearchpy import OpenSearch
from same_hits import assert_same_ranking, ranking
from secured_node import ROLES, SecuredNode
from small_index import EVERY_RERANK, SmallIndex, make_query

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.connection import connect, connect_async
from opensearch_multivector.plugin.engine import ask_engine, ask_engine_async
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.first_stages import FIRST_STAGES
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

QUERY = make_query()
# `seismic` has an index of its own, `tokens` a test; `native` is not for 2.19, `painless` wants 3.3.
STAGES = [name for name in FIRST_STAGES if name not in ("seismic", "tokens")]
RERANKS = [None, *(name for name in EVERY_RERANK if name not in ("native", "painless"))]


def login(node: SecuredNode, name: str, **restrictions: Any) -> dict[str, Any]:
    """Arguments of `connect` for a user of that name, whose role is the shipped searcher's with restrictions."""
    role = copy.deepcopy(yaml.safe_load(ROLES.read_text())["osmv_searcher"])
    role["index_permissions"][0].update(restrictions)
    node.put("roles", name, role)
    return {"url": node.url, "user": name, "password": node.make_user(name, name), "ca_certs": node.ca}


def restricted(node: SecuredNode, name: str, **restrictions: Any) -> OpenSearch:
    return connect(**login(node, name, **restrictions))


@pytest.fixture(scope="module")
def odd(secured: SecuredNode) -> dict[str, Any]:
    return login(secured, "odd", dls=json.dumps({"term": {"group": "odd"}}))


@pytest.mark.parametrize("rerank", RERANKS)
def test_no_hidden_document_comes_through(rerank: str | None, odd: dict[str, Any], articles: SmallIndex) -> None:
    searcher = Searcher(connect(**odd), "articles")
    for stage in STAGES:
        for filter_ in (None, {"match_all": {}}, {"terms": {"group": ["even", "odd"]}}):
            result = searcher.search(QUERY, first_stage=stage, rerank=rerank, size=30, explain=True, filter=filter_)
            assert result.hits, stage
            assert {articles.groups[hit.doc_id] for hit in result.hits} == {"odd"}, stage
            assert result.candidates == result.total == len(result.hits), stage
            assert not result.skipped
    assert not searcher.search(QUERY, filter={"term": {"group": "even"}}, rerank=rerank).hits


def test_the_stage_that_needs_names_of_clauses_says_so(odd: dict[str, Any], articles: SmallIndex) -> None:
    with pytest.raises(ClusterError, match="take another first stage than 'tokens'"):
        Searcher(connect(**odd), "articles").search(QUERY, first_stage="tokens")


def test_nearest_neighbours_are_sought_among_all_documents(odd: dict[str, Any], articles: SmallIndex) -> None:
    """Hidden documents take places of the window in k-NN, unless a filter says the same as the role."""
    searcher = Searcher(connect(**odd), "articles")
    options: dict[str, Any] = {"rerank": None, "size": 10, "window_size": 10}
    assert 0 < len(searcher.search(QUERY, first_stage="dense", **options).hits) < 10
    filtered = searcher.search(QUERY, first_stage="dense", filter={"term": {"group": "odd"}}, **options)
    assert len(filtered.hits) == len(searcher.search(QUERY, first_stage="codes", **options).hits) == 10


async def test_no_hidden_document_comes_through_fusions_batches_and_async(
    odd: dict[str, Any], articles: SmallIndex
) -> None:
    searcher = Searcher(connect(**odd), "articles")
    options = {"first_stage": "0.3*bm25+0.7*dense", "size": 30, "explain": True}
    async with connect_async(**odd) as client:
        async_searcher = await AsyncSearcher.open(client, "articles")
        results = [
            searcher.search(QUERY, **options),
            *searcher.search_many([QUERY, QUERY], **options),
            await async_searcher.search(QUERY, **options),
            searcher.search(QUERY, **options | {"rerank": None, "ties": "docid"}),
        ]
        assert not ask_engine(searcher.client, "articles").fuses
        assert not (await ask_engine_async(client, "articles")).fuses
    for result in results:
        assert len(result.hits) == 15
        assert {hit.source["group"] for hit in result.hits} == {"odd"}
    with pytest.raises(
        ClusterError, match=r"shows only some documents \(document-level security\): let the client fuse"
    ):
        searcher.search(QUERY, **options | {"fusion": "engine"})


def test_a_document_that_is_hidden_between_rounds_is_gone(
    secured: SecuredNode, odd: dict[str, Any], articles: SmallIndex
) -> None:
    client = connect(**odd)
    searcher = Searcher(client, "articles")
    best = searcher.search(QUERY, first_stage="bm25+dense", size=1).hits[0].doc_id
    send, victim = client.transport.perform_request, [best]

    def changing(method: str, url: str, *args: Any, **options: Any) -> Any:
        answer = send(method, url, *args, **options)
        if url.endswith(("/_search", "/_msearch")) and victim:
            body = articles.body(victim[0]) | {"group": "even"}
            secured.admin.index(index="articles", id=victim.pop(), body=body, refresh=True)
        return answer

    client.transport.perform_request = changing
    try:
        after = searcher.search(QUERY, first_stage="bm25+dense", fusion="client", size=15)
    finally:
        secured.admin.index(index="articles", id=best, body=articles.body(best), refresh=True)
    assert not victim
    assert best not in [hit.doc_id for hit in after.hits]
    assert {hit.source["group"] for hit in after.hits} == {"odd"}


def test_a_hidden_text_is_in_no_hit_and_in_no_match(secured: SecuredNode, articles: SmallIndex) -> None:
    searcher = Searcher(restricted(secured, "textless", fls=["~text"]), "articles")
    for source in (True, ["text", "title"]):
        result = searcher.search(QUERY, first_stage="dense", size=30, explain=True, source=source)
        assert len(result.hits) == 30
        for hit in result.hits:
            assert "text" not in hit.source
            assert hit.source["title"] == hit.doc_id
            assert hit.matches
            assert all(match.document_span is None for match in hit.matches)
            assert all(match.document_token.startswith("[") for match in hit.matches)
    assert not searcher.search(QUERY, filter={"match": {"text": "term1"}}).hits


def test_hidden_vectors_are_said_and_nothing_is_scored(secured: SecuredNode, articles: SmallIndex) -> None:
    searcher = Searcher(restricted(secured, "vectorless", fls=["~mv.vectors", "~mv.floats"]), "articles")
    result = searcher.search(QUERY, first_stage="bm25", rerank="client", size=30)
    assert not result.hits
    assert len(result.skipped) == result.candidates > 20
    assert all("or the user's role hides them" in reason for reason in result.skipped.values())
    explained = searcher.search(QUERY, first_stage="bm25", rerank=None, size=30, explain=True)
    assert explained.hits
    assert all(hit.matches == () and "mv.floats" not in hit.source for hit in explained.hits)


def test_a_masked_text_stays_masked(secured: SecuredNode, articles: SmallIndex) -> None:
    searcher = Searcher(restricted(secured, "masked", masked_fields=["text"]), "articles")
    for hit in searcher.search(QUERY, size=30, explain=True).hits:
        assert len(hit.source["text"]) == 64
        assert "term" not in hit.source["text"]
        assert all("term" not in match.document_token for match in hit.matches or ())


def test_what_field_level_security_does_not_hide(secured: SecuredNode, articles: SmallIndex) -> None:
    """docs/security.md says these; where one of them changes, that page has to."""
    textless = Searcher(restricted(secured, "textless", fls=["~text"]), "articles")
    words = articles.body("d003")["text"].split()
    found = textless.search(words[0], first_stage="bm25", rerank=None, size=30).hits
    assert "d003" in [hit.doc_id for hit in found]  # F.text, a copy of the text, is a field of its own
    bare = Searcher(restricted(secured, "bare", fls=["title"]), "articles")
    assert not bare.search(QUERY, first_stage="bm25", rerank=None).hits
    ranked = bare.search(QUERY, first_stage="dense", rerank=None).hits
    open_ranking = Searcher(secured.admin, "articles").search(QUERY, first_stage="dense", rerank=None).hits
    assert_same_ranking(ranking(ranked), ranking(open_ranking))  # k-NN reads a hidden knn_vector
