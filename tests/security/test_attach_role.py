"""The role for `osmv attach`, `backfill`, `follow`, `status`, `adopt`, `detach`, against the real security plugin."""

from __future__ import annotations

from typing import Any

import pytest
from attached_texts import PACE, WordEncoder
from opensearchpy import OpenSearch
from secured_node import SecuredNode
from small_index import SmallIndex
from test_roles import CLUSTER, client_of, names, permissions, refused, without

from opensearch_multivector.indexing.attach.adopt import adopt
from opensearch_multivector.indexing.attach.apply import attach
from opensearch_multivector.indexing.attach.detach import detach
from opensearch_multivector.indexing.attach.host import read_host
from opensearch_multivector.indexing.attach.plan import plan
from opensearch_multivector.indexing.attach.wanted import Wanted
from opensearch_multivector.indexing.backfill import By, Filler
from opensearch_multivector.indexing.backfill.disk import full_disk
from opensearch_multivector.indexing.backfill.status import status_of
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Mode, sidecar_name, update_attachment
from opensearch_multivector.plugin.sub_fields import Codes

pytestmark = pytest.mark.integration

INDEX = "articles-of-a-shop"
OWN = [INDEX, sidecar_name(INDEX), "osmv-state"]
# What a backfill asks, and does without.
DISKS = "cluster:monitor/nodes/stats"
MODES: tuple[Mode, ...] = (IN_PLACE, SIDECAR)


def make_shop(admin: OpenSearch) -> None:
    admin.indices.delete(index=",".join(OWN), ignore_unavailable=True)
    properties = {"text": {"type": "text"}, "price": {"type": "integer"}, "at": {"type": "date"}}
    settings = {"number_of_shards": 1, "number_of_replicas": 0}
    admin.indices.create(index=INDEX, body={"settings": settings, "mappings": {"properties": properties}})
    lines: list[dict[str, Any]] = []
    for number in range(12):
        lines += [{"index": {"_id": f"p{number}"}}, {"text": f"word{number} of all", "price": number, "at": number}]
    assert not admin.bulk(index=INDEX, body=lines, refresh=True)["errors"]


def attach_everything(client: OpenSearch, admin: OpenSearch, modes: tuple[Mode, ...] = MODES) -> None:
    """All that the commands ask: plan, attach, fill, changes and deletions by others, look, adopt, take away again."""
    encoder = WordEncoder()
    wanted = Wanted(("text",), encoder, None, "f32", sub_fields=(Codes(centroids=8),), filter_fields=("price",))
    for mode in modes:
        make_shop(admin)
        before = admin.search(index=INDEX, size=50)["hits"]["hits"]
        plain = wanted if mode == SIDECAR else Wanted(("text",), encoder, None, "f32", sub_fields=wanted.sub_fields)
        assert plan(client, read_host(client, INDEX), plain).documents == 12
        attach(client, INDEX, plain, mode)
        fill(client, encoder)
        admin.index(index=INDEX, id="p0", body={"text": "changed", "price": 0})
        admin.delete(index=INDEX, id="p1", refresh=True)
        fill(client, encoder)
        assert Filler(client, INDEX, encoder=encoder, pace=PACE, by=By("at")).round()
        state = status_of(client, INDEX, verify=True)
        assert (state.covered, state.missing, state.stale, state.orphaned) == (11, 0, 0, 0)
        update_attachment(client, INDEX, "mv", index_uuid="as-before-it-was-restored")
        assert adopt(client, INDEX)[1]
        assert not detach(client, INDEX).interrupted
        after = {hit["_id"]: hit["_source"] for hit in admin.search(index=INDEX, size=50)["hits"]["hits"]}
        kept = {hit["_id"]: hit["_source"] for hit in before if hit["_id"] not in ("p0", "p1")}
        assert after == kept | {"p0": {"text": "changed", "price": 0}}


def fill(client: OpenSearch, encoder: WordEncoder) -> None:
    Filler(client, INDEX, encoder=encoder, pace=PACE).backfill()


@pytest.mark.usefixtures("no_artifacts")
def test_who_attaches_attaches_fills_and_detaches(secured: SecuredNode) -> None:
    attach_everything(client_of(secured, "attacher", "osmv_attach"), secured.admin)


def test_who_attaches_does_nothing_else(secured: SecuredNode, articles: SmallIndex) -> None:
    client = client_of(secured, "attacher", "osmv_attach")
    secured.admin.index(index="other", id="1", body={"text": "a secret"}, refresh=True)
    for request in (
        lambda: client.index(index="articles", id="d000", body={"title": "changed"}),
        lambda: client.delete(index="articles", id="d000"),
        lambda: client.delete_by_query(index="articles", body={"query": {"match_all": {}}}),
        lambda: client.indices.delete(index="articles"),
        lambda: client.indices.close(index="articles"),
        lambda: client.indices.create(index="articles-new"),
        lambda: client.indices.put_settings(index="articles", body={"index.refresh_interval": "5s"}),
        lambda: client.search(index="other"),
        lambda: client.update(index="other", id="1", body={"doc": {"text": "changed"}}),
        lambda: client.indices.delete(index="osmv-artifacts"),
        lambda: client.delete(index="osmv-artifacts", id="any"),
        lambda: client.indices.delete(index="osmv-state"),
    ):
        assert "the user lacks the permission" in refused(request)


@pytest.mark.usefixtures("no_artifacts")
@pytest.mark.parametrize(("place", "permission"), permissions("osmv_attach", step=6))
def test_who_attaches_needs_each_permission(place: str, permission: str, secured: SecuredNode) -> None:
    secured.put("roles", "less", without("osmv_attach", place, permission))
    client = client_of(secured, "less", "less")
    if permission == DISKS:
        attach_everything(client, secured.admin)
    else:
        assert names(refused(lambda: attach_everything(client, secured.admin)), permission)


def test_disks_are_watched(secured: SecuredNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a watermark that any disk is above: to read the cluster's own takes a wider right than this role has."""
    make_shop(secured.admin)
    monkeypatch.setattr("opensearch_multivector.indexing.backfill.disk._HIGH", "0.001%")
    client = client_of(secured, "attacher", "osmv_attach")
    assert "above the high watermark (0.001%)" in (full_disk(client, INDEX) or "")
    secured.put("roles", "less", without("osmv_attach", CLUSTER, DISKS))
    assert full_disk(client_of(secured, "less", "less"), INDEX) is None
