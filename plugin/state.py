"""The project's own state in the cluster: one hidden index of small JSON documents, read and written by id.

Nothing is kept on the machine that runs `osmv`, so that a run can be taken up from any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConflictError, NotFoundError, RequestError

from opensearch_multivector.plugin.connection import cluster_errors

STATE_INDEX = "osmv-state"
_BODY = {
    "settings": {"index": {"hidden": True, "number_of_shards": 1, "auto_expand_replicas": "0-1"}},
    # Read by id alone: nothing needs to be searchable.
    "mappings": {"dynamic": False},
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A state document and the place in the index's history that a conditional write refers to."""

    value: dict[str, Any]
    seq_no: int
    primary_term: int


def get_state(client: OpenSearch, key: str) -> Stored | None:
    """The state document of that key, as last written; None where there is none. Raises ClusterError."""
    with cluster_errors():
        try:
            found = client.get(index=STATE_INDEX, id=key)
        except NotFoundError:
            return None
    return Stored(found["_source"], found["_seq_no"], found["_primary_term"])


def put_state(client: OpenSearch, key: str, value: dict[str, Any], after: Stored | None) -> Stored | None:
    """Write a state document if it is still as in ``after`` (None: still absent).

    Returns what is stored now, or None where somebody else has written in between. Raises ClusterError.
    """
    condition: dict[str, Any] = {"op_type": "create"}
    if after is not None:
        condition = {"if_seq_no": after.seq_no, "if_primary_term": after.primary_term}
    with cluster_errors():
        if after is None:
            _make_index(client)
        try:
            done = client.index(index=STATE_INDEX, id=key, body=value, params=condition)
        except ConflictError:
            return None
    return Stored(value, done["_seq_no"], done["_primary_term"])


def delete_state(client: OpenSearch, key: str, after: Stored) -> bool:
    """Delete a state document if it is still as in ``after``; False where somebody else has written in between.

    Raises ClusterError.
    """
    condition = {"if_seq_no": after.seq_no, "if_primary_term": after.primary_term}
    with cluster_errors():
        try:
            client.delete(index=STATE_INDEX, id=key, params=condition)
        except (ConflictError, NotFoundError):
            return False
    return True


def forget_state(client: OpenSearch, key: str) -> None:
    """Delete a state document as it is now, where there is one; a write at this moment is kept. Raises ClusterError."""
    stored = get_state(client, key)
    if stored is not None:
        delete_state(client, key, stored)


def _make_index(client: OpenSearch) -> None:
    if client.indices.exists(index=STATE_INDEX):
        return
    try:
        client.indices.create(index=STATE_INDEX, body=_BODY)
    except RequestError as error:
        if error.error != "resource_already_exists_exception":
            raise
