"""The role for `osmv exporter`, against the real security plugin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attached_texts import attach, filler, make_index, put, spec_of
from opensearchpy import OpenSearch
from secured_node import SecuredNode
from small_index import SmallIndex
from test_roles import client_of, permissions, refused, without

from opensearch_multivector.ops.metrics.cluster import Readings
from opensearch_multivector.ops.metrics.readings import (
    read_canaries,
    read_fields,
    read_nodes,
    read_samples,
    read_sizes,
)
from opensearch_multivector.plugin.attachments import SIDECAR

pytestmark = pytest.mark.integration

INDEX = "articles-watched"
PATTERNS = ["articles*"]
# What the exporter does without; the node has no native plugin.
OPTIONAL = "cluster:monitor/multivector/stats"


@pytest.fixture(scope="module")
def watched(secured: SecuredNode, articles: SmallIndex) -> Iterator[None]:
    """An index with a sidecar, filled, beside one that has its field in itself, and one of somebody else's."""
    admin = secured.admin
    admin.indices.delete(index=f"{INDEX},osmv-sidecar-{INDEX}-mv,osmv-state", ignore_unavailable=True)
    make_index(admin, INDEX)
    put(admin, INDEX, {f"d{i}": {"text": f"one{i}", "price": i} for i in range(12)})
    attach(admin, INDEX, SIDECAR, spec_of())
    filler(admin, INDEX).backfill()
    admin.index(index="other", id="1", body={"text": "a secret"}, refresh=True)
    admin.indices.refresh(index=f"{INDEX},osmv-sidecar-{INDEX}-mv,osmv-state")
    yield
    admin.indices.delete(index=f"{INDEX},osmv-sidecar-{INDEX}-mv,osmv-state", ignore_unavailable=True)


def read_everything(client: OpenSearch) -> Readings:
    """All parts; raises what any of them could not read."""
    into = Readings()
    for read in (read_fields, read_sizes, read_samples):
        read(client, PATTERNS, into)
    read_nodes(client, into)
    read_canaries(client, into)
    for error in into.errors:
        raise error
    return into


@pytest.mark.usefixtures("watched")
def test_the_exporter_reads_all_that_it_shows(secured: SecuredNode) -> None:
    values = read_everything(client_of(secured, "exporter", "osmv_exporter")).values
    assert values["osmv_field_covered_documents"] == {("articles", "mv"): 30, (INDEX, "mv"): 12}
    assert values["osmv_field_stale_ratio"] == {(INDEX, "mv"): 0}
    assert ("articles", "mv") in values["osmv_field_codebook_loss_ratio"]


@pytest.mark.usefixtures("watched")
def test_the_exporter_does_nothing_else(secured: SecuredNode) -> None:
    client = client_of(secured, "exporter", "osmv_exporter")
    for request in (
        lambda: client.index(index=INDEX, id="d0", body={"text": "changed"}),
        lambda: client.delete(index=INDEX, id="d0"),
        lambda: client.index(index="osmv-state", id="x", body={}),
        lambda: client.search(index="other"),
        lambda: client.indices.delete(index=INDEX),
        lambda: client.indices.refresh(index=INDEX),
    ):
        assert "the user lacks the permission" in refused(request)


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize(("place", "permission"), permissions("osmv_exporter", step=5))
def test_the_exporter_needs_each_permission(place: str, permission: str, secured: SecuredNode) -> None:
    secured.put("roles", "less", without("osmv_exporter", place, permission))
    client = client_of(secured, "less", "less")
    if permission == OPTIONAL:
        read_everything(client)
    else:
        assert permission in refused(lambda: read_everything(client))
