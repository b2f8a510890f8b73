"""Where the vectors of a searched index are: in it, or in the sidecar that was attached to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError, MismatchError
from opensearch_multivector.plugin.attachments import SIDECAR, Attachment, attachments_of, attachments_of_async
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import FieldSpec, described_fields
from opensearch_multivector.plugin.mapping import check_index_name, spec_from_mappings
from opensearch_multivector.plugin.state import STATE_INDEX

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch  # only there with the extra `async`

_FORBIDDEN = 403
_META = {"filter_path": "*.mappings._meta", "ignore": [404]}
_UUID = {"filter_path": "*.settings.index.uuid"}


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The index ``name``, which holds `F.*` of the documents of ``index`` (concrete, no alias) under their ids.

    ``filter_fields``: the documents' own fields that it holds, too, with what lies below them.
    """

    name: str
    index: str
    filter_fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """A field's description, the sidecar that holds it (None: the index itself does), and the concrete indices."""

    spec: FieldSpec
    sidecar: Sidecar | None
    indices: frozenset[str]


def find_field(client: OpenSearch, index: str, field: str, sidecar: str | None = None) -> Found:
    """A field's description, and where it is.

    ``index`` may be an alias. ``sidecar``: its name, for users who may not read where attachments are kept. Raises
    ClusterError where an index is missing or may not be read, MismatchError where the field is neither described in the
    index nor attached to it, or was attached to an earlier index of that name.
    """
    check_index_name(index)
    with cluster_errors():
        mappings = client.indices.get_mapping(index=index)
    if sidecar is None:
        if not mappings or _describe(mappings, field):
            return _in_it(index, mappings, field)
        concrete = _only(mappings, index, field)
        with _whether_attached(concrete, field):
            attached = _of_field(attachments_of(client, concrete), field)
        if attached is None:
            return _in_it(index, mappings, field)
        with cluster_errors():
            settings = client.indices.get_settings(index=concrete, params=_UUID | {"ignore": [_FORBIDDEN]})
        sidecar = _target(attached, settings)
    with cluster_errors():
        beside = client.indices.get_mapping(index=sidecar, params={"ignore": [404]})
    return _read(index, mappings, sidecar, beside, field)


async def find_field_async(client: AsyncOpenSearch, index: str, field: str, sidecar: str | None = None) -> Found:
    """As `find_field`."""
    check_index_name(index)
    with cluster_errors():
        mappings = await client.indices.get_mapping(index=index)
    if sidecar is None:
        if not mappings or _describe(mappings, field):
            return _in_it(index, mappings, field)
        concrete = _only(mappings, index, field)
        with _whether_attached(concrete, field):
            attached = _of_field(await attachments_of_async(client, concrete), field)
        if attached is None:
            return _in_it(index, mappings, field)
        with cluster_errors():
            settings = await client.indices.get_settings(index=concrete, params=_UUID | {"ignore": [_FORBIDDEN]})
        sidecar = _target(attached, settings)
    with cluster_errors():
        beside = await client.indices.get_mapping(index=sidecar, params={"ignore": [404]})
    return _read(index, mappings, sidecar, beside, field)


def sidecar_stays(client: OpenSearch, found: Found) -> bool:
    """Whether the sidecar is what it was: one that was made anew has the same name, and may be of another encoder."""
    assert found.sidecar is not None
    with cluster_errors():
        mappings = client.indices.get_mapping(index=found.sidecar.name, params=_META)
    return _describes(mappings, found)


async def sidecar_stays_async(client: AsyncOpenSearch, found: Found) -> bool:
    """As `sidecar_stays`."""
    assert found.sidecar is not None
    with cluster_errors():
        mappings = await client.indices.get_mapping(index=found.sidecar.name, params=_META)
    return _describes(mappings, found)


def _describes(mappings: dict[str, Any], found: Found) -> bool:
    assert found.sidecar is not None
    if mappings.keys() != {found.sidecar.name}:
        return False
    return spec_from_mappings(mappings, found.sidecar.name, found.spec.field) == found.spec


def _in_it(index: str, mappings: dict[str, Any], field: str) -> Found:
    return Found(spec_from_mappings(mappings, index, field), None, frozenset(mappings))


def _describe(mappings: dict[str, Any], field: str) -> bool:
    """Whether any of the indices describes the field itself."""
    return any(field in described_fields(body["mappings"]) for body in mappings.values())


@contextmanager
def _whether_attached(index: str, field: str) -> Iterator[None]:
    try:
        yield
    except ClusterError as error:
        if getattr(error.__cause__, "status_code", None) != _FORBIDDEN:
            raise
        raise ClusterError(
            f"index {index!r} has no multi-vector field {field!r} of its own, and whether it has a sidecar is not for "
            f"this user to read in {STATE_INDEX!r}: name the sidecar (--sidecar), as `osmv status` shows it"
        ) from error


def _only(mappings: dict[str, Any], index: str, field: str) -> str:
    """The one index that a sidecar can belong to."""
    if not mappings:
        raise ClusterError(f"no index matches {index!r}: check the name")
    if len(mappings) > 1:
        raise MismatchError(
            f"{index!r} covers {len(mappings)} indices, none of which has a multi-vector field {field!r} of its own: "
            "if they have sidecars, search them one by one"
        )
    return next(iter(mappings))


def _of_field(attachments: Sequence[Attachment], field: str) -> Attachment | None:
    return next((each for each in attachments if each.field == field and each.mode == SIDECAR), None)


def _target(attachment: Attachment, settings: dict[str, Any]) -> str:
    """The sidecar's name; ``settings``: the index's, or a refusal."""
    index, field = attachment.index, attachment.field
    if attachment.detaching:
        raise MismatchError(f"field {field!r} is being detached from index {index!r}: attach it again once it is done")
    if index in settings and settings[index]["settings"]["index"]["uuid"] != attachment.index_uuid:
        raise MismatchError(
            f"index {index!r} was made anew since field {field!r} was attached to it: detach that and attach again, "
            "or, where it was restored from a snapshot, `osmv adopt` it"
        )
    return attachment.target


def _read(index: str, mappings: dict[str, Any], sidecar: str, beside: dict[str, Any], field: str) -> Found:
    concrete = _only(mappings, index, field)
    if "error" in beside or not beside:
        raise ClusterError(f"the sidecar {sidecar!r} of index {concrete!r} is gone: detach it and attach again")
    spec = spec_from_mappings(beside, sidecar, field)
    ((name, body),) = beside.items()
    own = {key: value for key, value in body["mappings"].get("properties", {}).items() if key != field}
    return Found(spec, Sidecar(name, concrete, frozenset(_names(own))), frozenset(mappings))


def _names(properties: dict[str, Any], above: str = "") -> Iterator[str]:
    """Full names of all fields, with the objects they are in and the further forms they are indexed in."""
    for name, body in properties.items():
        yield above + name
        yield from _names(body.get("properties", {}), f"{above}{name}.")
        yield from _names(body.get("fields", {}), f"{above}{name}.")
