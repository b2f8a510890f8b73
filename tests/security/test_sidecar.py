"""An index with a sidecar: a search shows what the caller may see of the index, whatever the sidecar has."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from attached_index import AttachedIndex, make_attached, remove_attached
from secured_node import ROLES, SecuredNode
from small_index import make_query
from test_roles import client_of, permissions, refused, without

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.connection import connect, connect_async
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

QUERY = make_query()
NAME = "articles-attached"
SIDECARS = "osmv-sidecar-articles*"


@pytest.fixture(scope="module")
def attached(secured: SecuredNode) -> Iterator[AttachedIndex]:
    remove_attached(secured.admin, NAME)
    made = make_attached(secured.admin, NAME, shards=1)
    made.write_beside("d000", 10_000, **{"mv.vectors": "AAAA"})  # hidden below, and damaged
    yield made
    remove_attached(secured.admin, NAME)


def login(node: SecuredNode, name: str, *, beside: bool = True, state: bool = False) -> dict[str, Any]:
    """Arguments of `connect` for a searcher who sees documents of group odd, without their texts.

    ``state``: with the shipped role for sidecars; ``beside``: may read sidecars, and not the record that names them.
    """
    role = copy.deepcopy(yaml.safe_load(ROLES.read_text())["osmv_searcher"])
    (articles, *_) = role["index_permissions"]
    if beside and not state:
        role["index_permissions"].append(articles | {"index_patterns": [SIDECARS]})
    role["index_permissions"][0] = articles | {"dls": json.dumps({"term": {"group": "odd"}}), "fls": ["~text"]}
    node.put("roles", name, role)
    roles = (name, "osmv_searcher_sidecar") if state else (name,)
    return {"url": node.url, "user": name, "password": node.make_user(name, *roles), "ca_certs": node.ca}


@pytest.mark.parametrize("state", [False, True])
async def test_the_users_index_says_what_is_shown(state: bool, secured: SecuredNode, attached: AttachedIndex) -> None:
    arguments = login(secured, f"beside-{state}".lower(), state=state)
    named = {} if state else {"sidecar": attached.sidecar}
    searcher = Searcher(connect(**arguments), NAME, **named)
    async with connect_async(**arguments) as client:
        async_searcher = await AsyncSearcher.open(client, NAME, **named)
        for stage, rerank in (("dense", "client"), ("codes", None), ("bm25+dense", "client"), ("slim", "bit")):
            options = {"first_stage": stage, "rerank": rerank, "size": 15, "explain": True}
            results = [
                searcher.search(QUERY, **options),
                *searcher.search_many([QUERY, QUERY], **options),
                await async_searcher.search(QUERY, **options),
                searcher.search(QUERY, **options | {"source": ["text", "title"]}),
            ]
            for result in results:
                assert len(result.hits) == 15, stage
                assert {attached.whole.groups[hit.doc_id] for hit in result.hits} == {"odd"}
                assert not result.skipped
                for hit in result.hits:
                    assert "text" not in hit.source
                    assert hit.source["title"] == hit.doc_id
                    assert hit.matches
                    assert all(match.document_token.startswith("[") for match in hit.matches)
        assert not searcher.search(QUERY, filter={"term": {"group": "even"}}).hits


@pytest.mark.parametrize(("place", "permission"), permissions("osmv_searcher_sidecar"))
def test_each_permission_of_the_role_is_needed_and_it_gives_no_other(
    place: str, permission: str, secured: SecuredNode, attached: AttachedIndex
) -> None:
    secured.put("roles", "less", without("osmv_searcher_sidecar", place, permission))
    client = client_of(secured, "less", "less", "osmv_searcher")
    said = refused(lambda: Searcher(client, NAME).search(QUERY))
    assert permission in said or "is not for this user to read in 'osmv-state'" in said
    for request in (
        lambda: client.index(index=attached.sidecar, id="d000", body={}),
        lambda: client.delete(index=attached.sidecar, id="d000"),
        lambda: client.indices.delete(index=attached.sidecar),
        lambda: client.search(index="osmv-state"),
        lambda: client.index(index="osmv-state", id="x", body={}),
        lambda: client.search(index="osmv-sidecar-others"),
    ):
        assert "the user lacks the permission" in refused(request)


async def test_what_lacks_is_said(secured: SecuredNode, attached: AttachedIndex) -> None:
    arguments = login(secured, "stateless")
    with pytest.raises(ClusterError, match=r"is not for this user to read in 'osmv-state': name the sidecar"):
        Searcher(connect(**arguments), NAME)
    async with connect_async(**arguments) as client:
        with pytest.raises(ClusterError, match=r"is not for this user to read in 'osmv-state': name the sidecar"):
            await AsyncSearcher.open(client, NAME)
    with pytest.raises(ClusterError, match="lacks the permission indices:admin/mappings/get"):
        Searcher(connect(**login(secured, "sideless", beside=False)), NAME, sidecar=attached.sidecar)
