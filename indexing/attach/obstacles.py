"""What stands in the way of attaching a field to an index in some mode: one sentence each, found without a write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.attach.host import Host
from opensearch_multivector.plugin.attachments import IN_PLACE, NEW, Mode, sidecar_name
from opensearch_multivector.plugin.fields import HASH, META_KEY, VECTORS, VERSION, FieldSpec
from opensearch_multivector.plugin.mapping import attached_properties, needed_settings, sidecar_body
from opensearch_multivector.plugin.sub_fields import SUB_FIELDS

_OURS = {VECTORS, HASH, VERSION, *SUB_FIELDS}

# Settings of an index that nobody may write to, or not by partial updates.
_CLOSED = {
    "blocks.read_only": "the index is read-only (index.blocks.read_only)",
    "blocks.read_only_allow_delete": "the index takes no writes, as the disk is or was full "
    "(index.blocks.read_only_allow_delete)",
    "blocks.write": "the index takes no writes (index.blocks.write)",
    "blocks.metadata": "the index's mapping can't be changed (index.blocks.metadata)",
    "append_only.enabled": "documents of the index are never updated (index.append_only.enabled)",
    "derived_source.enabled": "`_source` is derived from the fields (index.derived_source.enabled), which binary ones "
    "don't allow",
}


def obstacles(host: Host, spec: FieldSpec, mode: Mode, filter_fields: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Why a field can't be attached to the index in this mode; empty where it can."""
    checks: list[Callable[[], Iterator[str]]] = [lambda: _of_texts(host, spec)]
    if mode == IN_PLACE:
        checks += [
            lambda: (sentence for name, sentence in _CLOSED.items() if host.is_on(name)),
            lambda: _of_replication(host),
            lambda: _of_source(host, spec),
            lambda: _of_settings(host, spec),
            lambda: _of_mapping(host, spec),
        ]
    elif mode == NEW:
        checks += [
            lambda: (sentence for name, sentence in _CLOSED.items() if host.is_on(name)),
            lambda: _of_replication(host),
            lambda: _of_copying(host, spec),
        ]
    else:
        checks.append(lambda: _of_sidecar(host, spec, filter_fields))
    found: list[str] = []
    for check in checks:
        try:
            found += check()
        except InputError as error:
            found.append(str(error))
    return tuple(found)


def _of_texts(host: Host, spec: FieldSpec) -> Iterator[str]:
    source = host.mappings.get("_source", {})
    if source.get("enabled") in (False, "false"):
        yield "the index keeps no `_source` (_source.enabled is false), so that nobody can read the texts"
        return
    for name in spec.text_fields:
        if not _kept(source, name):
            yield f"text field {name!r} is kept out of `_source`, so that nobody can read it"


def _of_replication(host: Host) -> Iterator[str]:
    if leader := host.setting("plugins.replication.follower.leader_index"):
        yield f"the index follows {leader!r} of another cluster and takes no writes: attach to that one"
    if host.setting("store.type") == "remote_snapshot":
        yield "the index is a searchable snapshot and takes no writes"


def _of_source(host: Host, spec: FieldSpec) -> Iterator[str]:
    if not all(_kept(host.mappings.get("_source", {}), spec.sub(name)) for name in _added(spec)):
        yield (
            f"the index keeps {spec.field}.* out of `_source`: each partial update of a document would silently drop "
            "its vectors"
        )


def _of_settings(host: Host, spec: FieldSpec) -> Iterator[str]:
    needed_settings(spec)
    for sub_field in spec.sub_fields:
        for name, value in sub_field.settings().items():
            if not host.is_on(name):
                yield (
                    f"sub-field {sub_field.name!r} needs index.{name}: {str(value).lower()}, which an index has from "
                    "its making or never: leave it out (codes need no such setting), or take a sidecar"
                )


def _of_mapping(host: Host, spec: FieldSpec, *, limited: bool = True) -> Iterator[str]:
    mapped = host.mappings.get("properties", {})
    there = mapped.get(spec.field)
    wanted = attached_properties(spec)[spec.field]["properties"]
    if there is not None and host.described(spec.field) is None:
        has = there.get("properties", {})
        # A mapping can't be taken away again: what a field that was detached has left is taken up.
        left = HASH in has and has.keys() <= _OURS
        if not (left and all(_same(has[name], wanted[name]) for name in has.keys() & wanted.keys())):
            yield f"the index has a field {spec.field!r} already, of another kind: give another --field"
            return
    if not limited:
        return
    new = wanted.keys() - (there or {}).get("properties", {}).keys()
    limit = host.field_limit
    count = _count(mapped) + len(new) + (there is None)
    if count > limit:
        yield (
            f"the index would have {count} fields, and index.mapping.total_fields.limit is {limit}: raise it, or take "
            "a sidecar"
        )


def _of_copying(host: Host, spec: FieldSpec) -> Iterator[str]:
    needed_settings(spec)
    if host.data_stream:
        yield f"the index is part of the data stream {host.data_stream!r}, where no other can take its place"
    elif host.name not in host.aliases:
        others = f" ({', '.join(sorted(host.aliases))})" if host.aliases else ""
        yield (
            "it is asked for by its own name, which stays with the old index: have all applications read and write by "
            f"an alias{others}, and give that to `osmv attach`"
        )
    source = host.mappings.get("_source", {})
    if source.get("includes") or source.get("excludes"):
        yield "the index keeps fields out of `_source` (includes, excludes), and what is not there can't be copied"
    described = (host.mappings.get("_meta") or {}).get(META_KEY, {}).get("fields", {})
    for other in sorted(described.keys() - {spec.field}):
        yield f"the index has another multi-vector field {other!r}: detach that first"
    yield from _of_mapping(host, spec, limited=False)


def _of_sidecar(host: Host, spec: FieldSpec, filter_fields: tuple[str, ...]) -> Iterator[str]:
    sidecar_name(host.index, spec.field)
    sidecar_body(spec, dict(host.mappings), filter_fields)
    source = host.mappings.get("_source", {})
    for name in filter_fields:
        if not _kept(source, name):
            yield f"filter field {name!r} is kept out of `_source`, so that nobody can read it"


def _added(spec: FieldSpec) -> set[str]:
    return set(attached_properties(spec)[spec.field]["properties"])


def _kept(source: Mapping[str, Any], name: str) -> bool:
    """Whether a field stays in `_source`, as OpenSearch's includes and excludes have it."""
    parts = name.split(".")
    paths = [".".join(parts[: depth + 1]) for depth in range(len(parts))]

    def named(patterns: Any) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in patterns for path in paths)

    includes = source.get("includes") or []
    return (not includes or named(includes)) and not named(source.get("excludes") or [])


def _same(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(there.get(key) == wanted.get(key) for key in ("type", "dimension"))


def _count(properties: Mapping[str, Any]) -> int:
    nested = sum(_count(each.get("properties", {})) + len(each.get("fields", {})) for each in properties.values())
    return len(properties) + nested
