"""Data-dependent arrays that an index can't be read without (codebooks, projections), kept in the cluster.

An artifact is a few named arrays; its id is the hash of their content, so one id never means two things, and `_meta`
says by it exactly which arrays it means. Stored in parts in a hidden index of their own, so that a snapshot of the
cluster holds them too. Nothing is kept on the machine that runs `osmv`.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pybase64
from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, RequestError

from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.encoding.content import Arrays, content_id
from opensearch_multivector.encoding.subvector_terms import SubvectorCodebook
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.documents import docs_of
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.whole_answers import EVERY_SHARD

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch  # only there with the extra `async`

ARTIFACT_INDEX = "osmv-artifacts"
_BODY = {
    "settings": {"index": {"hidden": True, "number_of_shards": 1, "auto_expand_replicas": "0-1"}},
    "mappings": {
        "dynamic": False,
        "properties": {"kind": {"type": "keyword"}, "made_at": {"type": "date"}},
    },
}
_PART_BYTES = 4_000_000
_PARTS_AT_ONCE = 4
_MOST_PARTS = 10_000  # 40 GB

# What the arrays of a kind become once loaded; the arrays themselves where nothing is said.
_BUILD: dict[str, Callable[[Arrays], Any]] = {
    "codebook": Codebook.from_arrays,
    "subvectors": SubvectorCodebook.from_arrays,
}


@dataclass(frozen=True, slots=True)
class Artifact:
    """``kind``: "codebook", "projection", ... ``id``: 16 hex digits. ``info``: JSON for people, not part of the id."""

    kind: str
    id: str
    arrays: Arrays = field(repr=False)
    info: Mapping[str, Any] = field(default_factory=dict)


def make_artifact(kind: str, arrays: Arrays, info: Mapping[str, Any] | None = None) -> Artifact:
    """Name arrays by their content."""
    return Artifact(kind, content_id(kind, arrays), arrays, info or {})


def put_artifact(client: OpenSearch, artifact: Artifact) -> None:
    """Store an artifact; one that is there already, and whole, is left alone. Raises ClusterError.

    The head goes in last: an artifact whose head is there is whole.
    """
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **artifact.arrays)
    content = buffer.getvalue()
    parts = range(0, len(content), _PART_BYTES)
    head = {
        "kind": artifact.kind,
        "info": dict(artifact.info),
        "bytes": len(content),
        "parts": len(parts),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with cluster_errors():
        _make_index(client)
    with contextlib.suppress(MismatchError):
        get_artifact(client, artifact.id)
        return
    with cluster_errors():
        for number, start in enumerate(parts):
            data = pybase64.b64encode_as_string(content[start : start + _PART_BYTES])
            client.index(index=ARTIFACT_INDEX, id=_part_id(artifact.id, number), body={"data": data})
        client.index(index=ARTIFACT_INDEX, id=artifact.id, body=head, params={"refresh": "true"})


def list_artifacts(client: OpenSearch, kind: str | None = None) -> dict[str, dict[str, Any]]:
    """Heads by id (``kind``, ``info``, ``bytes``, ``made_at``), oldest first. Raises ClusterError."""
    query: dict[str, Any] = {"term": {"kind": kind}} if kind else {"exists": {"field": "kind"}}
    body = {"query": query, "size": 1_000, "sort": ["made_at"]}
    with cluster_errors():
        try:
            found = client.search(index=ARTIFACT_INDEX, body=body, params=EVERY_SHARD)
        except NotFoundError:
            return {}
    return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}


def get_artifact(client: OpenSearch, artifact_id: str) -> Artifact:
    """An artifact by its id. Raises MismatchError where it is missing, cut or altered, ClusterError."""
    if not artifact_id:
        raise InputError("the id of a codebook is empty: `osmv codebook list` shows them")
    with cluster_errors():
        try:
            head = client.get(index=ARTIFACT_INDEX, id=artifact_id)["_source"]
        except NotFoundError:
            raise _missing(artifact_id) from None
        docs: list[dict[str, Any]] = []
        for body in _requests(artifact_id, head):
            docs += docs_of(client.mget(index=ARTIFACT_INDEX, body=body), ARTIFACT_INDEX)
    return _assemble(artifact_id, head, docs)


def delete_artifact(client: OpenSearch, artifact_id: str) -> None:
    """Delete an artifact, the head first, without which nobody takes the parts for whole. Raises ClusterError."""
    with cluster_errors():
        try:
            head = client.get(index=ARTIFACT_INDEX, id=artifact_id)["_source"]
        except NotFoundError:
            return
        for each in (artifact_id, *(_part_id(artifact_id, number) for number in range(head["parts"]))):
            with contextlib.suppress(NotFoundError):
                client.delete(index=ARTIFACT_INDEX, id=each, params={"refresh": "true"})


async def get_artifact_async(client: AsyncOpenSearch, artifact_id: str) -> Artifact:
    """As `get_artifact`."""
    with cluster_errors():
        try:
            head = (await client.get(index=ARTIFACT_INDEX, id=artifact_id))["_source"]
        except NotFoundError:
            raise _missing(artifact_id) from None
        docs: list[dict[str, Any]] = []
        for body in _requests(artifact_id, head):
            docs += docs_of(await client.mget(index=ARTIFACT_INDEX, body=body), ARTIFACT_INDEX)
    return _assemble(artifact_id, head, docs)


def load_state(client: OpenSearch, spec: FieldSpec) -> FieldSpec:
    """The description with its artifacts loaded. Raises as `get_artifact`."""
    return with_state(spec, [get_artifact(client, artifact_id) for artifact_id in spec.artifacts.values()])


async def load_state_async(client: AsyncOpenSearch, spec: FieldSpec) -> FieldSpec:
    """As `load_state`."""
    return with_state(spec, [await get_artifact_async(client, artifact_id) for artifact_id in spec.artifacts.values()])


def with_state(spec: FieldSpec, artifacts: list[Artifact]) -> FieldSpec:
    """The description with these artifacts named and loaded, beside those it has."""
    loaded = {artifact.kind: _BUILD.get(artifact.kind, dict)(artifact.arrays) for artifact in artifacts}
    ids = {artifact.kind: artifact.id for artifact in artifacts}
    return replace(spec, artifacts={**spec.artifacts, **ids}, state={**spec.state, **loaded})


def _part_id(artifact_id: str, number: int) -> str:
    return f"{artifact_id}.{number}"


def _requests(artifact_id: str, head: dict[str, Any]) -> list[dict[str, Any]]:
    parts = head.get("parts")
    if not isinstance(parts, int) or not 0 < parts <= _MOST_PARTS:
        raise _missing(artifact_id)
    ids = [_part_id(artifact_id, number) for number in range(parts)]
    return [{"ids": ids[first : first + _PARTS_AT_ONCE]} for first in range(0, len(ids), _PARTS_AT_ONCE)]


def _assemble(artifact_id: str, head: dict[str, Any], docs: list[dict[str, Any]]) -> Artifact:
    if not all(doc.get("found") for doc in docs):
        raise _missing(artifact_id)
    try:
        content = b"".join(pybase64.b64decode(doc["_source"]["data"], validate=True) for doc in docs)
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (TypeError, ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _missing(artifact_id) from error
    kind, info = head.get("kind"), head.get("info")
    if not isinstance(kind, str) or not isinstance(info, dict) or content_id(kind, arrays) != artifact_id:
        raise _missing(artifact_id)
    return Artifact(kind, artifact_id, arrays, info)


def _missing(artifact_id: str) -> MismatchError:
    return MismatchError(
        f"the arrays {artifact_id!r} that this index was made with are missing, cut or altered in {ARTIFACT_INDEX!r}: "
        "restore that index from a snapshot, or make the field anew (`osmv index`, or `osmv detach` and `osmv attach`)"
    )


def _make_index(client: OpenSearch) -> None:
    if client.indices.exists(index=ARTIFACT_INDEX):
        return
    try:
        client.indices.create(index=ARTIFACT_INDEX, body=_BODY)
    except RequestError as error:
        if error.error != "resource_already_exists_exception":
            raise
