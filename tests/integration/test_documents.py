"""Documents by their ids, also right after a restart, while the shard that has them is on no node yet."""

from __future__ import annotations

import threading

import pytest
from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing.patience import Patience
from opensearch_multivector.plugin.cluster_errors import is_gone
from opensearch_multivector.plugin.documents import get_documents

pytestmark = pytest.mark.integration

NOWHERE = "index.routing.allocation.require._name"


@pytest.fixture
def away(client: OpenSearch, index_name: str) -> str:
    """An index whose shard no node takes."""
    settings = {NOWHERE: "nobody", "index.number_of_replicas": 0}
    client.indices.create(index=index_name, body={"settings": settings}, params={"wait_for_active_shards": "0"})
    return index_name


def test_in_their_order_and_whether_they_are_there(client: OpenSearch, index_name: str) -> None:
    client.index(index=index_name, id="a", body={"text": "one"}, params={"routing": "r"})
    client.index(index=index_name, id="b", body={"text": "two"})
    found = get_documents(client, index_name, [("b", None), ("c", None), ("a", "r")])
    assert [(doc["_id"], doc["found"]) for doc in found] == [("b", True), ("c", False), ("a", True)]
    assert found[0]["_source"] == {"text": "two"}
    assert "_source" not in get_documents(client, index_name, [("b", None)], source=False)[0]


def test_a_shard_on_no_node_is_waited_for(client: OpenSearch, away: str) -> None:
    with pytest.raises(ClusterError, match=r"document 'a' of .* can't be read: .*No shard available"):
        get_documents(client, away, [("a", None)])
    told: list[str] = []

    def waiting(words: str) -> None:
        told.append(words)
        client.indices.put_settings(index=away, body={NOWHERE: None})

    patience = Patience(60, threading.Event(), waiting)
    (doc,) = patience(lambda: get_documents(client, away, [("a", None)]))
    assert not doc["found"]
    assert "No shard available" in told[0]


def test_what_does_not_pass_is_not_waited_for(client: OpenSearch, index_name: str) -> None:
    told: list[str] = []
    with pytest.raises(ClusterError, match="there is no index") as gone:
        Patience(60, threading.Event(), told.append)(lambda: get_documents(client, index_name, [("a", None)]))
    assert told == []
    assert is_gone(gone.value)
