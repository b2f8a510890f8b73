"""Documents by their ids, as last written: also those that no search finds yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.passing_errors import is_the_shards

_SAID_OF_ONE = 500  # what an answer says of one document has no status of its own
_AWAY = 503


def get_documents(
    client: OpenSearch, index: str, places: Sequence[tuple[str, str | None]], *, source: bool = True
) -> list[dict[str, Any]]:
    """What is there under each (id, routing), in their order; ``found`` says whether there is anything.

    Raises ClusterError where the cluster refuses or one of them can't be read; its cause is an error that may pass
    where a shard is on no node at the moment.
    """
    asked = [{"_id": doc_id} | ({"routing": routing} if routing else {}) for doc_id, routing in places]
    with cluster_errors():
        found = client.mget(index=index, body={"docs": asked}, params={"_source": str(source).lower()})
    docs: list[dict[str, Any]] = found["docs"]
    for doc in docs:
        if error := doc.get("error"):
            passes = is_the_shards(_SAID_OF_ONE, error)
            said = TransportError(_AWAY if passes else _SAID_OF_ONE, error.get("type"), error)
            raise ClusterError(f"document {doc['_id']!r} of {index!r} can't be read: {error.get('reason')}") from said
    return docs
