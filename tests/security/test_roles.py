"""The roles that the project ships, against the real security plugin: what each may do works, all else is refused."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from opensearchpy import OpenSearch
from ready_documents import document, load, write
from secured_node import ROLES, SecuredNode
from small_index import SmallIndex, make_query
from typer.testing import CliRunner

from opensearch_multivector.cli.main import app
from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.connection import cluster_errors, connect, connect_async
from opensearch_multivector.plugin.engine import Engine, ask_engine
from opensearch_multivector.plugin.mapping import Bm25Parameters
from opensearch_multivector.plugin.sub_fields import Codes
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

QUERY = make_query()
SHIPPED: dict[str, dict[str, Any]] = {
    name: role for name, role in yaml.safe_load(ROLES.read_text()).items() if name != "_meta"
}
# Whether an index is there is asked by HEAD, which is refused without a word of what lacks.
FORBIDDEN = "the cluster forbids this to the user, whose roles do not allow it"
CLUSTER = "cluster"
# What `auto` asks, and does without.
OPTIONAL = {"cluster:monitor/nodes/info", "indices:monitor/settings/get"}


def client_of(node: SecuredNode, user: str, *roles: str) -> OpenSearch:
    return connect(node.url, user=user, password=node.make_user(user, *roles), ca_certs=node.ca)


def refused(request: Callable[[], Any]) -> str:
    with pytest.raises(ClusterError) as error, cluster_errors():
        request()
    return str(error.value)


def search_everything(client: OpenSearch) -> None:
    """What a searcher asks of the cluster, all of it."""
    searcher = Searcher(client, "articles")
    for stage in ("bm25", "codes", "bm25+dense"):
        assert searcher.search(QUERY, first_stage=stage, rerank="client", size=5, explain=True).hits[0].matches
    assert [len(result.hits) for result in searcher.search_many([QUERY, QUERY], size=5)] == [5, 5]


def index_everything(client: OpenSearch, admin: OpenSearch, folder: Path) -> None:
    """What `osmv index` asks of the cluster: a new index with a codebook, then more for it, with new fields."""
    admin.indices.delete(index="articles-of-writer,osmv-state", ignore_unavailable=True)
    options: dict[str, Any] = {"sub_fields": (Codes(centroids=8),), "codec": "f32"}
    first = write(folder / "first.jsonl", [document(number) for number in range(12)])
    again = write(folder / "again.jsonl", [document(number, year=2024) for number in range(20)])
    assert load(client, "articles-of-writer", first, **options).indexed == 12
    assert load(client, "articles-of-writer", again, bm25=Bm25Parameters(), **options).indexed == 20
    assert admin.count(index="articles-of-writer")["count"] == 20


async def test_a_searcher_searches(secured: SecuredNode, articles: SmallIndex) -> None:
    password = secured.make_user("searcher", "osmv_searcher")
    search_everything(connect(secured.url, user="searcher", password=password, ca_certs=secured.ca))
    async with connect_async(secured.url, user="searcher", password=password, ca_certs=secured.ca) as client:
        searcher = await AsyncSearcher.open(client, "articles")
        assert len((await searcher.search(QUERY, first_stage="bm25+dense")).hits) == 10


def test_a_searcher_does_nothing_else(secured: SecuredNode, articles: SmallIndex) -> None:
    client = client_of(secured, "searcher", "osmv_searcher")
    secured.admin.index(index="other", id="1", body={"text": "a secret"}, refresh=True)
    update = {"script": {"source": "ctx._source.remove('title')"}}
    for request in (
        lambda: client.index(index="articles", id="d000", body={"title": "changed"}),
        lambda: client.update(index="articles", id="d000", body={"doc": {"title": "changed"}}),
        lambda: client.update_by_query(index="articles", body=update),
        lambda: client.delete(index="articles", id="d000"),
        lambda: client.indices.delete(index="articles"),
        lambda: client.indices.close(index="articles"),
        lambda: client.indices.put_mapping(index="articles", body={"properties": {}}),
        lambda: client.indices.create(index="articles-new"),
        lambda: client.search(index="other"),
        lambda: client.search(index="articles,other"),
        lambda: client.search(index="osmv-artifacts"),
        lambda: client.get(index="osmv-state", id="x"),
        lambda: client.index(index="osmv-artifacts", id="x", body={}),
        lambda: client.cluster.put_settings(body={"persistent": {"action.auto_create_index": "true"}}),
        lambda: client.transport.perform_request("GET", "/_plugins/_security/api/internalusers"),
    ):
        assert "the user lacks the permission" in (said := refused(request)) or "forbids this" in said
    assert secured.admin.count(index="articles")["count"] == 30
    assert secured.admin.get(index="articles", id="d000")["_source"]["title"] == "d000"
    with pytest.raises(ClusterError, match="lacks the permission indices:admin/mappings/get"):
        Searcher(client, "other")


def test_osmv_search_and_doctor_as_a_searcher(secured: SecuredNode, articles: SmallIndex, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(secured.make_user("searcher", "osmv_searcher") + "\n")
    np.save(tmp_path / "query.npy", QUERY.vectors)
    who = ["--user", "searcher", "--password-file", str(tmp_path / "password"), "--ca-certs", secured.ca]
    asked = ["--query-vectors", str(tmp_path / "query.npy"), "--index", "articles", "--json"]
    found = CliRunner().invoke(app, ["search", *asked, "--url", secured.url, *who])
    assert found.exit_code == 0, found.output
    assert len(json.loads(found.stdout)["hits"]) == 10
    told = CliRunner().invoke(app, ["doctor", "--json", "--url", secured.url, *who])
    checks = {check["name"]: check for check in json.loads(told.stdout)["checks"]}
    assert "user searcher with osmv_searcher" in checks["security"]["found"]
    for action in ("create indices", "change mappings", "write in bulk", "delete indices"):
        assert action in checks["permissions"]["found"]


def test_a_writer_writes(secured: SecuredNode, tmp_path: Path) -> None:
    index_everything(client_of(secured, "writer", "osmv_writer"), secured.admin, tmp_path)


def test_a_writer_does_nothing_else(secured: SecuredNode, articles: SmallIndex, tmp_path: Path) -> None:
    client = client_of(secured, "writer", "osmv_writer")
    secured.admin.index(index="other", id="1", body={"text": "a secret"}, refresh=True)
    for request in (
        lambda: client.search(index="articles"),
        lambda: client.get(index="articles", id="d000"),
        lambda: client.delete(index="articles", id="d000"),
        lambda: client.delete_by_query(index="articles", body={"query": {"match_all": {}}}),
        lambda: client.indices.delete(index="articles"),
        lambda: client.indices.close(index="articles"),
        lambda: client.indices.put_settings(index="articles", body={"index.refresh_interval": "5s"}),
        lambda: client.index(index="other", id="1", body={"text": "changed"}),
        lambda: client.indices.delete(index="osmv-artifacts"),
        lambda: client.search(index="osmv-state"),
    ):
        assert "the user lacks the permission" in refused(request)
    documents = write(tmp_path / "documents.jsonl", [document(1)])
    with pytest.raises(ClusterError, match=FORBIDDEN):
        load(client, "others", documents)


def permissions(role: str, step: int = 1) -> list[tuple[str, str]]:
    """Where a role has a permission (a pattern of indices, or the cluster), and which: every ``step``-th of them.

    OSMV_TEST_PERMISSIONS=all: each one, in two more minutes.
    """
    shipped = SHIPPED[role]
    each = [(CLUSTER, action) for action in shipped.get("cluster_permissions", ())]
    for part in shipped["index_permissions"]:
        each += [(part["index_patterns"][0], action) for action in part["allowed_actions"]]
    return each if os.environ.get("OSMV_TEST_PERMISSIONS") == "all" else each[::step]


def without(role: str, place: str, permission: str) -> dict[str, Any]:
    """The role less one permission."""
    left = copy.deepcopy(SHIPPED[role])
    parts = {part["index_patterns"][0]: part["allowed_actions"] for part in left["index_permissions"]}
    (parts | {CLUSTER: left.get("cluster_permissions", [])})[place].remove(permission)
    return left


def names(said: str, permission: str) -> bool:
    """Whether the sentence names the permission, as far as the cluster does."""
    return permission.removesuffix("*") in said or (permission == "indices:admin/get" and FORBIDDEN in said)


@pytest.mark.parametrize(("place", "permission"), permissions("osmv_searcher"))
def test_a_searcher_needs_each_permission(
    place: str, permission: str, secured: SecuredNode, articles: SmallIndex
) -> None:
    secured.put("roles", "less", without("osmv_searcher", place, permission))
    client = client_of(secured, "less", "less")
    if permission in OPTIONAL:
        search_everything(client)
        assert ask_engine(client, "articles") == Engine()
        assert ask_engine(client_of(secured, "searcher", "osmv_searcher"), "articles") == Engine(fuses=True)
    else:
        assert f"lacks the permission {permission}:" in refused(lambda: search_everything(client))


@pytest.mark.usefixtures("no_artifacts")
@pytest.mark.parametrize(("place", "permission"), permissions("osmv_writer", step=3))
def test_a_writer_needs_each_permission(place: str, permission: str, secured: SecuredNode, tmp_path: Path) -> None:
    secured.put("roles", "less", without("osmv_writer", place, permission))
    client = client_of(secured, "less", "less")
    assert names(refused(lambda: index_everything(client, secured.admin, tmp_path)), permission)
