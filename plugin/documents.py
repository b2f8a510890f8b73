"""Documents by their ids, as last written: also those that no search finds yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import HTTP_EXCEPTIONS, TransportError

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.cluster_errors import cluster_errors, describe
from opensearch_multivector.plugin.passing_errors import is_the_shards


def get_documents(
    client: OpenSearch, index: str, places: Sequence[tuple[str, str | None]], *, source: bool = True
) -> list[dict[str, Any]]:
    """What is there under each (id, routing), in their order; ``found`` says whether there is anything.

    Raises ClusterError where the cluster refuses, and as `docs_of`.
    """
    asked = [{"_id": doc_id} | ({"routing": routing} if routing else {}) for doc_id, routing in places]
    with cluster_errors():
        answer = client.mget(index=index, body={"docs": asked}, params={"_source": str(source).lower()})
    return docs_of(answer, index)


def docs_of(answer: Mapping[str, Any], index: str) -> list[dict[str, Any]]:
    """The documents of an ``_mget``'s answer, which has 200 as its status whatever became of them.

    Raises ClusterError where one of them can't be read; its cause is an error that may pass where a shard is on no
    node at the moment.
    """
    docs: list[dict[str, Any]] = answer["docs"]
    for doc in docs:
        if error := doc.get("error"):
            status = _status(error)
            refused = HTTP_EXCEPTIONS.get(status, TransportError)(status, error.get("type"), {"error": error})
            raise ClusterError(f"document {doc['_id']!r} of {index!r} can't be read: {describe(refused)}") from refused
    return docs


def _status(error: Mapping[str, Any]) -> int:
    """That which a request for this document alone would have been answered with."""
    known = {"security_exception": 403, "index_not_found_exception": 404}
    return known.get(str(error.get("type"))) or (503 if is_the_shards(500, error) else 500)
