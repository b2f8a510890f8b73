"""The role for `osmv serve`, against the real security plugin: what is listed of a cluster that may not all be seen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch
from secured_node import SecuredNode
from small_index import SmallIndex
from test_roles import client_of, without

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.ops.service.auth import Caller
from opensearch_multivector.ops.service.catalogue import Catalogue
from opensearch_multivector.ops.service.encoders import Encoders

pytestmark = pytest.mark.integration
SERVED = ("articles*",)
READER = ("osmv_searcher", "osmv_exporter")


@pytest.fixture(scope="module")
def aliased(secured: SecuredNode, articles: SmallIndex) -> Iterator[None]:
    """An alias that is served, and an index of somebody else's with an alias that is not."""
    secured.admin.indices.put_alias(index=articles.name, name="articles-live")
    secured.admin.index(index="other", id="1", body={"text": "a secret"}, refresh=True)
    secured.admin.indices.put_alias(index="other", name="other-live")
    yield
    secured.admin.indices.delete_alias(index=articles.name, name="articles-live")
    secured.admin.indices.delete_alias(index="other", name="other-live")


def listed(client: OpenSearch) -> list[str]:
    catalogue = Catalogue(client, Encoders(), SERVED, None)
    try:
        answer = asyncio.run(catalogue.indices(Caller("operator", served=SERVED, operator=True)))
    finally:
        catalogue.close()
    return [each.name for each in answer.indices if each.name.startswith(("articles-live", "other"))]


@pytest.mark.usefixtures("aliased")
def test_it_lists_what_is_served(secured: SecuredNode) -> None:
    assert listed(client_of(secured, "service", *READER, "osmv_service")) == ["articles-live"]


@pytest.mark.usefixtures("aliased")
def test_without_its_permission_it_is_named(secured: SecuredNode) -> None:
    secured.put("roles", "less", without("osmv_service", "articles*", "indices:admin/aliases/get"))
    with pytest.raises(ClusterError, match="indices:admin/aliases/get"):
        listed(client_of(secured, "service", *READER, "less"))
