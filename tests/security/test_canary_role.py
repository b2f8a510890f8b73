"""The role for `osmv canary`, against the real security plugin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attached_index import AttachedIndex, attachment, make_attached, remove_attached
from opensearchpy import OpenSearch
from secured_node import SecuredNode
from small_index import SmallIndex
from test_roles import client_of, names, permissions, refused, without

from opensearch_multivector.ops.canary import Check, add_canary, check_canary, latest, remove_canary
from opensearch_multivector.plugin.attachments import put_attachment
from opensearch_multivector.plugin.state import STATE_INDEX

pytestmark = pytest.mark.integration

INDEX = "articles-beside"
# What it does without: the last second's writes, the number of segments, whether OpenSearch can rerank.
OPTIONAL = ("indices:admin/refresh*", "indices:monitor/stats", "cluster:monitor/nodes/info")


@pytest.fixture(scope="module")
def beside(secured: SecuredNode, articles: SmallIndex) -> Iterator[AttachedIndex]:
    """An index with a sidecar, beside one that has its field in itself."""
    yield make_attached(secured.admin, INDEX, count=20, shards=1)
    remove_attached(secured.admin, INDEX)


def watch_everything(client: OpenSearch, beside: AttachedIndex) -> list[Check]:
    """All that `osmv canary` does, on both indices, osmv-state not being there at first."""
    admin = beside.client
    admin.indices.delete(index=STATE_INDEX, ignore_unavailable=True)
    checks = []
    try:
        for index in ("articles", INDEX):
            made = add_canary(client, "any", index, draw=3)
            assert made is not None
            checks.append(check_canary(client, made, raises=True))
            remove_canary(client, "any")
            put_attachment(admin, attachment(admin, beside))
    finally:
        put_attachment(admin, attachment(admin, beside))
    return checks


def test_a_canary_is_made_and_checked(secured: SecuredNode, beside: AttachedIndex) -> None:
    checks = watch_everything(client_of(secured, "watcher", "osmv_canary"), beside)
    assert [check.outcomes[0].recall for check in checks] == [1, 1]
    assert checks[0].segments
    assert latest(secured.admin) == []


def test_it_does_nothing_else(secured: SecuredNode, beside: AttachedIndex) -> None:
    client = client_of(secured, "watcher", "osmv_canary")
    secured.admin.index(index="other", id="1", body={"text": "a secret"}, refresh=True)
    for request in (
        lambda: client.index(index=INDEX, id="d0", body={"text": "changed"}),
        lambda: client.delete(index=INDEX, id="d0"),
        lambda: client.index(index=beside.sidecar, id="d0", body={}),
        lambda: client.search(index="other"),
        lambda: client.indices.delete(index=INDEX),
    ):
        assert "the user lacks the permission" in refused(request)


@pytest.mark.parametrize(("place", "permission"), permissions("osmv_canary", step=5))
def test_it_needs_each_permission(place: str, permission: str, secured: SecuredNode, beside: AttachedIndex) -> None:
    secured.put("roles", "less", without("osmv_canary", place, permission))
    client = client_of(secured, "less", "less")
    if permission in OPTIONAL:
        watch_everything(client, beside)
    else:
        said = refused(lambda: watch_everything(client, beside))
        assert names(said, permission)
