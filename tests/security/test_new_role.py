"""The role that `osmv attach --mode new` needs besides that of the other modes, against the real security plugin."""

from __future__ import annotations

from typing import Any

import pytest
from attached_texts import filler
from new_index import attach_new, make_aliased, wish
from opensearchpy import OpenSearch
from secured_node import SecuredNode
from small_index import SmallIndex
from test_roles import client_of, names, permissions, refused, without

from opensearch_multivector.indexing.attach.apply import attach
from opensearch_multivector.indexing.attach.detach import detach
from opensearch_multivector.plugin.attachments import NEW

pytestmark = pytest.mark.integration

INDEX = "articles-to-copy"
ROLES = ("osmv_attach", "osmv_attach_new")


def make(admin: OpenSearch, count: int = 12) -> str:
    there = [*admin.indices.get(index=f"{INDEX}*", expand_wildcards="all"), "osmv-state"]
    admin.indices.delete(index=",".join(there), ignore_unavailable=True)
    alias = make_aliased(admin, INDEX, shards=1)
    lines: list[dict[str, Any]] = []
    for number in range(count):
        lines += [{"index": {"_id": f"p{number}"}}, {"text": f"word{number} of all"}]
    assert not admin.bulk(index=alias, body=lines, refresh=True)["errors"]
    return alias


def test_who_copies_copies_and_swaps(secured: SecuredNode) -> None:
    alias = make(secured.admin)
    client = client_of(secured, "copier", *ROLES)
    assert attach_new(client, alias, block_writes=True) is not None
    (behind,) = secured.admin.indices.get_alias(name=alias)
    assert behind != INDEX
    assert secured.admin.count(index=alias, body={"query": {"exists": {"field": "mv.hash"}}})["count"] == 12
    assert not detach(client, alias).interrupted


def test_it_takes_both_roles_and_gives_nothing_else(secured: SecuredNode, articles: SmallIndex) -> None:
    alias = make(secured.admin)
    attacher = client_of(secured, "attacher", "osmv_attach")
    assert "the user lacks the permission" in refused(lambda: attach_new(attacher, alias))
    secured.admin.index(index="other", id="1", body={"text": "a secret"}, refresh=True)
    client = client_of(secured, "copier", *ROLES)
    for request in (
        lambda: client.search(index="other"),
        lambda: client.index(index="other", id="1", body={"text": "changed"}),
        lambda: client.indices.delete(index="other"),
        lambda: client.indices.put_alias(index="other", name="articles-alias"),
        lambda: client.indices.close(index="articles"),
        lambda: client.indices.put_index_template(name="t", body={"index_patterns": ["x*"]}),
        lambda: client.indices.delete(index="osmv-state"),
        lambda: client.cluster.put_settings(body={"persistent": {"action.auto_create_index": "true"}}),
    ):
        assert "the user lacks the permission" in refused(request)


@pytest.mark.parametrize(("place", "permission"), permissions("osmv_attach_new", step=3))
def test_each_permission_is_needed(place: str, permission: str, secured: SecuredNode) -> None:
    """`indices:admin/delete` by `osmv detach` before the swap, `delete` by what was deleted meanwhile."""
    alias = make(secured.admin)
    secured.put("roles", "less", without("osmv_attach_new", place, permission))
    client = client_of(secured, "less", "osmv_attach", "less")
    if permission == "indices:admin/delete":
        attach(client, alias, wish(), NEW)
        assert names(refused(lambda: detach(client, alias)), permission)
        return
    if permission == "indices:data/write/delete":
        attach(client, alias, wish(), NEW)
        filler(client, INDEX).backfill()
        secured.admin.delete(index=alias, id="p0", refresh=True)
    assert names(refused(lambda: attach_new(client, alias, block_writes=True)), permission)
