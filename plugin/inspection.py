"""The state of the multi-vector fields of an index."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.artifacts import delete_artifact
from opensearch_multivector.plugin.cluster_errors import cluster_errors, is_forbidden
from opensearch_multivector.plugin.fields import META_KEY, VECTORS, FieldSpec
from opensearch_multivector.plugin.mapping import spec_from_mappings


@dataclass(frozen=True, slots=True)
class FieldState:
    """A multi-vector field and how far it is filled: ``without_vectors`` of ``documents`` lack their token vectors."""

    spec: FieldSpec
    documents: int
    without_vectors: int


def inspect_index(client: OpenSearch, index: str) -> list[FieldState]:
    """All multi-vector fields of an index or alias; none is an empty list.

    Raises ClusterError where there is no such index, MismatchError where indices behind one alias differ.
    """
    with cluster_errors():
        mappings = client.indices.get_mapping(index=index)
        documents = int(client.count(index=index)["count"])
    names: dict[str, None] = {}
    for body in mappings.values():
        names |= dict.fromkeys((body["mappings"].get("_meta") or {}).get(META_KEY, {}).get("fields", {}))
    states = []
    for name in names:
        spec = spec_from_mappings(mappings, index, name)
        lacking = {"query": {"bool": {"must_not": [{"exists": {"field": spec.sub(VECTORS)}}]}}}
        with cluster_errors():
            without = int(client.count(index=index, body=lacking)["count"]) if spec.vectors else 0
        states.append(FieldState(spec, documents, without))
    return states


def delete_unused(client: OpenSearch, artifact_ids: Collection[str]) -> None:
    """Delete those artifacts that no index needs, where this user sees all indices and may. Raises ClusterError."""
    if not artifact_ids or not _sees_all(client):
        return
    used = users_of_artifacts(client)
    for artifact_id in artifact_ids:
        if artifact_id in used:
            continue
        try:
            delete_artifact(client, artifact_id)
        except ClusterError as error:
            if not is_forbidden(error):
                raise


def _sees_all(client: OpenSearch) -> bool:
    """Whether this user is shown every index: another's, which it may not see, could need an artifact, too."""
    params = {"filter_path": "*.settings.index.uuid", "expand_wildcards": "all"}
    with cluster_errors():
        try:
            shown = len(client.indices.get_settings(index="*", params=params))
            there = client.cluster.stats(params={"filter_path": "indices.count"})
        except AuthorizationException:
            return False
    return shown >= int(there["indices"]["count"])


def users_of_artifacts(client: OpenSearch) -> dict[str, list[str]]:
    """For each artifact id (`plugin.artifacts`) the indices whose fields need it, in order of their names."""
    # Sidecars are hidden, and a closed index may be opened again.
    params = {"filter_path": f"*.mappings._meta.{META_KEY}", "expand_wildcards": "all"}
    with cluster_errors():
        mappings = client.indices.get_mapping(index="*", params=params)
    users: dict[str, list[str]] = {}
    for index in sorted(mappings):
        for field in mappings[index]["mappings"]["_meta"][META_KEY].get("fields", {}).values():
            for artifact_id in field.get("artifacts", {}).values():
                users.setdefault(artifact_id, []).append(index)
    return users
