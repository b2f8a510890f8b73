"""Attach a field: its place in the cluster is made and recorded. Filling it is the backfill's work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.indexing import target
from opensearch_multivector.indexing.attach.copied import aliases_given, copy_body, copy_name
from opensearch_multivector.indexing.attach.host import (
    Host,
    SampleReader,
    check_text_fields,
    random_documents,
    read_host,
)
from opensearch_multivector.indexing.attach.plan import blocked
from opensearch_multivector.indexing.attach.wanted import Wanted
from opensearch_multivector.indexing.training import trained
from opensearch_multivector.plugin.attachments import (
    IN_PLACE,
    NEW,
    SIDECAR,
    Attachment,
    Mode,
    find_attachment,
    fingerprint_of,
    put_attachment,
    sidecar_name,
)
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import META_KEY, FieldSpec
from opensearch_multivector.plugin.mapping import attached_properties, index_exists, read_spec, sidecar_body

_LOOK_AT = 64
# What a sidecar takes over from the index: where documents go, and what its filter fields may need.
_TAKEN_OVER = (
    "number_of_shards",
    "number_of_routing_shards",
    "number_of_replicas",
    "auto_expand_replicas",
    "routing_partition_size",
    "analysis",
)


def attach(
    client: OpenSearch,
    index: str,
    wanted: Wanted,
    mode: Mode,
    *,
    target_name: str = "",
    message: Callable[[str], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Attachment:
    """Attach a field to the index of that name or alias; the same again changes nothing, an interrupted one goes on.

    Mode new makes the new index alone, which `swap.replace_index` then fills and puts in the old one's place;
    ``target_name``: how it is called.

    What has to be learnt is learnt from a sample of the index's documents. Raises MismatchError where something stands
    in the way (`obstacles`) or another field of that name is attached, InputError on unusable wishes, ClusterError, and
    `indexing.training.Stopped` once ``stop`` is set while it learns.
    """
    host = read_host(client, index)
    there = find_attachment(client, host.index, wanted.field)
    _check_attached(host, there, wanted, mode)
    spec = wanted.spec(host, mode)
    target_index = there.target if there else _target(host, wanted.field, mode, target_name)
    found = _made(client, host, target_index, wanted.field, mode, attached=there is not None)
    if found is None:
        hits = list(random_documents(client, host.index, _LOOK_AT))
        check_text_fields(host, wanted.text_fields, [hit["_source"] for hit in hits if "_source" in hit])
        if why_not := blocked(host, wanted, mode, hits):
            raise MismatchError(f"field {wanted.field!r} can't be attached to {host.index!r}: {'; '.join(why_not)}")
        reader = SampleReader(client, host.index, spec)
        spec, _ = trained(
            client,
            spec,
            reader,
            reader.entries(),
            wanted.encoder,
            message=message,
            stop=stop or threading.Event(),
        )
        _make(client, host, target_index, spec, wanted.filter_fields, mode)
    else:
        spec = replace(spec, artifacts=found.artifacts)
        target.check_match(host.index, spec, found)
    if there is not None:
        return there
    attachment = Attachment(
        index=host.index,
        index_uuid=host.uuid,
        field=wanted.field,
        mode=mode,
        target=target_index,
        text_fields=wanted.text_fields,
        fingerprint=fingerprint_of(spec),
        made_at=datetime.now(UTC).isoformat(),
        filter_fields=wanted.filter_fields,
    )
    put_attachment(client, attachment)
    return attachment


def attached_spec(client: OpenSearch, host: Host, field: str) -> FieldSpec | None:
    """The field as it is attached to the index already; None where it is not. Raises ClusterError, MismatchError."""
    there = find_attachment(client, host.index, field)
    return read_spec(client, there.target, field) if there and index_exists(client, there.target) else None


def _check_attached(host: Host, there: Attachment | None, wanted: Wanted, mode: Mode) -> None:
    if mode == IN_PLACE and wanted.filter_fields:
        raise InputError("filter fields are for a sidecar: in place all fields of the index are there to filter by")
    if there is None:
        return
    what = f"field {there.field!r} of index {host.index!r}"
    if there.detaching:
        raise MismatchError(f"{what} is being detached: let `osmv detach` come to its end first")
    if there.index_uuid != host.uuid:
        raise MismatchError(f"{what} was attached to an earlier index of that name: run `osmv detach` first")
    differences = [
        f"{name} {', '.join(has) or 'none'}, not {', '.join(wants) or 'none'}"
        for name, has, wants in (
            ("mode", [NEW if there.source else there.mode], [mode]),
            ("text fields", there.text_fields, wanted.text_fields),
            ("filter fields", there.filter_fields, wanted.filter_fields),
        )
        if tuple(has) != tuple(wants)
    ]
    if differences:
        raise MismatchError(
            f"{what} is attached with {'; '.join(differences)}: detach it first, or give another --field"
        )


def _made(client: OpenSearch, host: Host, name: str, field: str, mode: Mode, *, attached: bool) -> FieldSpec | None:
    """The field where it is there already: attached, or left by an attempt that was interrupted. None: it is not."""
    if mode != IN_PLACE and name != host.index:
        if not index_exists(client, name):
            return None
        with cluster_errors():
            filled = int(client.count(index=name)["count"]) > 0
        if filled and not attached:
            raise MismatchError(
                f"index {name!r} has documents, and is none that is being filled: delete it first, or give another name"
            )
        return read_spec(client, name, field)
    found = host.described(field)
    if found is not None and found.has_text_copy:
        raise MismatchError(
            f"field {field!r} of index {host.index!r} is one that `osmv index` fills: give another --field"
        )
    return found


def _make(
    client: OpenSearch, host: Host, name: str, spec: FieldSpec, filter_fields: tuple[str, ...], mode: Mode
) -> None:
    if mode == NEW:
        if given := aliases_given(client, name):
            raise MismatchError(
                f"a template of the cluster gives a new index {name!r} the alias {given[0]!r} from its making on, half "
                "filled: give a --target that no template is for"
            )
        with cluster_errors():
            client.indices.create(index=name, body=copy_body(host, spec))
        return
    if mode == SIDECAR:
        settings = {name: value for name in _TAKEN_OVER if (value := host.setting(name)) is not None}
        body = sidecar_body(spec, dict(host.mappings), filter_fields, settings=settings)
        with cluster_errors():
            client.indices.create(index=name, body=body)
        return
    with cluster_errors():
        client.indices.put_mapping(
            index=host.index,
            body={"_meta": with_field(client, host.index, spec), "properties": attached_properties(spec)},
        )


def with_field(client: OpenSearch, index: str, spec: FieldSpec) -> dict[str, Any]:
    """The index's `_meta` with the field described in it; everything else that is there stays, as it is replaced whole.

    Raises opensearch-py's exceptions.
    """
    meta: dict[str, Any] = client.indices.get_mapping(index=index)[index]["mappings"].get("_meta") or {}
    own = meta.get(META_KEY, {})
    return {**meta, META_KEY: {**own, "fields": {**own.get("fields", {}), spec.field: spec.to_meta()}}}


def _target(host: Host, field: str, mode: Mode, target_name: str) -> str:
    if mode == NEW:
        return copy_name(host, target_name)
    return host.index if mode == IN_PLACE else sidecar_name(host.index, field)
