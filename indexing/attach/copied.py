"""The copy of an index that is to take its place: what it is made of, and how it is kept like the old one."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from fnmatch import fnmatchcase
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import RequestError

from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.attach.host import Host
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import META_KEY, VERSION, FieldSpec
from opensearch_multivector.plugin.mapping import attached_properties, needed_settings

# Settings that are an index's own, or say how it came to be.
_OWN = (
    "uuid",
    "creation_date",
    "provided_name",
    "version",
    "blocks",
    "history",
    "resize",
    "shrink",
    "verified_before_close",
    "routing.allocation.initial_recovery",
)
# While it is copied: no pattern of an application's takes it in, no pipeline sees a document for a second time, and of
# documents that were deleted nothing is remembered (see `swap`).
_WHILE_COPIED = {"hidden": True, "default_pipeline": "_none", "final_pipeline": "_none", "gc_deletes": "0s"}
PIPELINES = ("default_pipeline", "final_pipeline")


def copy_name(host: Host, target: str = "") -> str:
    """Name of the copy, where nobody has given one."""
    return target or f"{host.index}-mv"


def copy_body(host: Host, spec: FieldSpec) -> dict[str, Any]:
    """Settings and mappings of the copy: those of the old index, and the field. Raises as `needed_settings`."""
    settings = deepcopy(dict(host.settings))
    for name in _OWN:
        _remove(settings, name)
    added = copied_properties(spec)
    settings.setdefault("mapping", {}).setdefault("total_fields", {})["limit"] = (
        host.field_limit + len(added[spec.field]["properties"]) + 1
    )
    meta = host.mappings.get("_meta") or {}
    own = {**meta.get(META_KEY, {}), "fields": {spec.field: spec.to_meta()}}
    return {
        "settings": {"index": {**settings, **needed_settings(spec), **_WHILE_COPIED}},
        "mappings": {
            **host.mappings,
            "_meta": {**meta, META_KEY: own},
            "properties": {**host.mappings.get("properties", {}), **added},
        },
    }


def copied_properties(spec: FieldSpec) -> dict[str, Any]:
    """The mapping of the field in a copy: as in place, and the version by which a copied document is known."""
    properties = attached_properties(spec)
    properties[spec.field]["properties"][VERSION] = {"type": "long", "index": False, "doc_values": False}
    return properties


def aliases_given(client: OpenSearch, name: str) -> tuple[str, ...]:
    """Aliases that the cluster's templates would give to a new index of that name. Raises ClusterError."""
    with cluster_errors():
        simulated = client.indices.simulate_index_template(name=name)
        legacy = client.indices.get_template()
    given = set((simulated.get("template") or {}).get("aliases") or ())
    for template in legacy.values():
        if any(fnmatchcase(name, pattern) for pattern in template["index_patterns"]):
            given |= set(template.get("aliases") or ())
    return tuple(sorted(given))


def take_mapping(client: OpenSearch, index: str, target: str, field: str) -> None:
    """Give the copy what the old index's mapping has learnt since. Raises MismatchError where they differ."""
    with cluster_errors():
        both = client.indices.get_mapping(index=f"{index},{target}")
        there, here = (both[name]["mappings"].get("properties", {}) for name in (target, index))
        new = {name: body for name, body in here.items() if name != field and there.get(name) != body}
        if not new:
            return
        try:
            client.indices.put_mapping(index=target, body={"properties": new})
        except RequestError as error:
            raise MismatchError(
                f"{target!r} maps a field otherwise than {index!r} does by now, of which it is to be a copy "
                f"({error.info['error']['reason']}): `osmv detach` and attach again"
            ) from error


def set_settings(client: OpenSearch, index: str, **settings: Any) -> None:
    """Change settings of an index; None: as if it was never set. Raises ClusterError."""
    with cluster_errors():
        client.indices.put_settings(index=index, body={"index": settings})


def _remove(settings: dict[str, Any], name: str) -> None:
    first, _, rest = name.partition(".")
    if rest and isinstance(settings.get(first), Mapping):
        _remove(settings[first], rest)
    elif not rest:
        settings.pop(first, None)
