"""An index that is slow to search, for as long as a test wants, on a real node."""

from __future__ import annotations

from typing import Any

from opensearchpy import AsyncOpenSearch, OpenSearch

from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import index_body
from opensearch_multivector.queries.encoded_query import EncodedQuery

# OpenSearch looks whether a search is still wanted after every 4,096 documents.
COUNT = 9_000
SPEC = FieldSpec("mv", 4, "f32", EncoderRef(READY_VECTORS, "none"))


def make_slow(client: OpenSearch, name: str, shards: int = 1) -> None:
    client.indices.create(index=name, body=index_body(SPEC, shards=shards))
    lines: list[Any] = []
    for i in range(COUNT):
        lines += [{"index": {"_id": str(i)}}, {"text": "bee"}]
    assert not client.bulk(index=name, body=lines, params={"refresh": "true"})["errors"]


def slow_query(steps: int) -> EncodedQuery:
    """Takes all the longer the more steps there are for each document; for ``first_stage="query"``."""
    source = f"double x = 1; for (int i = 0; i < {steps}; i++) {{ x += Math.sqrt(x + i); }} return x > 0 ? 1 : 2"
    script = {"source": source}
    return EncodedQuery(dsl={"script_score": {"query": {"match": {"text": "bee"}}, "script": script}})


def searches_under_way(client: OpenSearch, name: str) -> list[str]:
    """What the node still searches in an index: the actions."""
    tasks = client.tasks.list(params={"actions": "*search*", "detailed": "true", "group_by": "none"})["tasks"]
    return [task["action"] for task in tasks if name in task.get("description", "")]


def searches_done(client: OpenSearch, name: str) -> int:
    """How many came to their end on a shard of an index; not those that were told to end before it."""
    return int(client.indices.stats(index=name, metric="search")["_all"]["total"]["search"]["query_total"])


def connections(client: AsyncOpenSearch) -> int:
    """Those in use by requests."""
    (connection,) = client.transport.connection_pool.connections
    return len(connection.session.connector._acquired)
