"""The mapping of a multi-vector field, and its description read back from a live index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError, InputError, MismatchError
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import HASH, META_KEY, TEXT, VECTORS, FieldSpec, described_fields

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch  # only there with the extra `async`

DEFAULT_ANALYZER = "english"


@dataclass(frozen=True, slots=True)
class Bm25Parameters:
    """``k1`` and ``b`` of BM25, by default OpenSearch's own. Raises InputError on impossible ones."""

    k1: float = 1.2
    b: float = 0.75

    def __post_init__(self) -> None:
        if not 0 <= self.k1 < inf:
            raise InputError(f"k1 of BM25 is a number from 0 on, not {self.k1}")
        if not 0 <= self.b <= 1:
            raise InputError(f"b of BM25 is a number from 0 to 1, not {self.b}")

    @classmethod
    def given(cls, k1: float | None, b: float | None) -> Bm25Parameters | None:
        """With the default for the one that is None; None where both are: nothing is asked for."""
        given = {name: value for name, value in (("k1", k1), ("b", b)) if value is not None}
        return cls(**given) if given else None


def index_body(
    spec: FieldSpec,
    *,
    shards: int = 1,
    replicas: int = 0,
    analyzer: str = DEFAULT_ANALYZER,
    bm25: Bm25Parameters | None = None,
    extra_settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Settings and mappings of a new index with one multi-vector field.

    The sub-fields that only the engine reads are kept out of `_source`, so hits and the store stay small. ``bm25``
    None: OpenSearch's own. Raises InputError where the engine can't hold a sub-field.
    """
    text = spec.sub(TEXT)
    properties = {**_stored_properties(spec), TEXT: {"type": "text", "analyzer": analyzer}}
    settings = needed_settings(spec)
    if bm25 is not None:
        settings["similarity"] = {"default": {"type": "BM25", "k1": bm25.k1, "b": bm25.b}}
    own_fields = {name: {"type": "text", "analyzer": analyzer, "copy_to": text} for name in spec.text_fields}
    return {
        "settings": {
            "index": {
                "number_of_shards": shards,
                "number_of_replicas": replicas,
                **settings,
                **(extra_settings or {}),
            }
        },
        "mappings": {
            "_meta": {META_KEY: {"fields": {spec.field: spec.to_meta()}}},
            "_source": {"excludes": _not_in_source(spec)},
            "properties": {**own_fields, spec.field: {"properties": properties}},
        },
    }


def attached_properties(spec: FieldSpec) -> dict[str, Any]:
    """The mapping properties of a field attached to somebody's index, in place or in a sidecar."""
    return {spec.field: {"properties": {**_stored_properties(spec), HASH: {"type": "keyword"}}}}


def sidecar_body(
    spec: FieldSpec,
    source: dict[str, Any],
    filter_fields: Sequence[str] = (),
    *,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Settings and mappings of the sidecar of an index whose mapping is ``source`` (what lies under `mappings`).

    It has the source's mapping for ``filter_fields`` and its word on routing. ``settings``: further ones under `index`,
    shards and analysis among them. Raises InputError where a filter field is not in the mapping or can't be copied, and
    where the engine can't hold a sub-field.
    """
    routing = {"_routing": source["_routing"]} if "_routing" in source else {}
    properties: dict[str, Any] = {}
    for name in filter_fields:
        _copy_property(source.get("properties", {}), properties, name)
    return {
        "settings": {"index": {"hidden": True, **needed_settings(spec), **(settings or {})}},
        "mappings": {
            "_meta": {META_KEY: {"fields": {spec.field: spec.to_meta()}}},
            "_source": {"excludes": _not_in_source(spec)},
            **routing,
            # What the source learns later is of no use here: only what was asked for is written.
            "dynamic": False,
            "properties": {**properties, **attached_properties(spec)},
        },
    }


def needed_settings(spec: FieldSpec) -> dict[str, Any]:
    """Settings under `index` that the sub-fields can't do without. Raises InputError where they exclude each other."""
    settings = {name: value for sub_field in spec.sub_fields for name, value in sub_field.settings().items()}
    if {"knn", "sparse"} <= settings.keys():
        raise InputError(
            "OpenSearch lets no index have both k-NN fields (dense, ...) and a sparse_vector (seismic): leave one out, "
            "or make two indices"
        )
    return settings


def _stored_properties(spec: FieldSpec) -> dict[str, Any]:
    vectors: dict[str, Any] = {VECTORS: {"type": "binary", "doc_values": True}} if spec.vectors else {}
    return vectors | {sub_field.name: sub_field.mapping(spec) for sub_field in spec.sub_fields}


def _not_in_source(spec: FieldSpec) -> list[str]:
    vectors = [spec.sub(VECTORS)] if spec.vectors else []
    return vectors + [spec.sub(sub_field.name) for sub_field in spec.sub_fields if not sub_field.in_source]


def _copy_property(source: dict[str, Any], into: dict[str, Any], name: str) -> None:
    """Copy the mapping of a field; of objects that it lies in, what they are, and nothing else that they hold."""
    way = name.split(".")
    for depth, key in enumerate(way):
        found = source.get(key)
        if found is None:
            raise InputError(
                f"filter field {name!r} is not in the index's mapping (of a multi-field, name the field itself)"
            )
        if depth < len(way) - 1:
            holder = {key_: value for key_, value in found.items() if key_ != "properties"}
            into = into.setdefault(key, {**holder, "properties": {}})["properties"]
            source = found.get("properties", {})
            continue
        if found.get("type") == "alias":
            raise InputError(f"filter field {name!r} is an alias of {found['path']!r}: name that")
        into[key] = _without_copy_to(found)


def _without_copy_to(mapping: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in mapping.items() if key != "copy_to"}
    if "properties" in kept:
        kept["properties"] = {name: _without_copy_to(each) for name, each in kept["properties"].items()}
    return kept


def check_index_name(index: str) -> None:
    """Raise InputError on an empty name, by which OpenSearch understands all indices."""
    if not index:
        raise InputError("the name of the index is empty: name one")


def index_exists(client: OpenSearch, index: str) -> bool:
    """Whether an index or alias of that name is there. Raises InputError on an empty name, ClusterError."""
    check_index_name(index)
    with cluster_errors():
        return bool(client.indices.exists(index=index))


def read_spec(client: OpenSearch, index: str, field: str = "mv") -> FieldSpec:
    """The description of a multi-vector field of an index, or of all indices behind an alias or pattern.

    Raises ClusterError where there is no such index, MismatchError where the field is missing or the indices differ.
    """
    check_index_name(index)
    with cluster_errors():
        mappings = client.indices.get_mapping(index=index)
    return spec_from_mappings(mappings, index, field)


async def read_spec_async(client: AsyncOpenSearch, index: str, field: str = "mv") -> FieldSpec:
    """As `read_spec`."""
    check_index_name(index)
    with cluster_errors():
        mappings = await client.indices.get_mapping(index=index)
    return spec_from_mappings(mappings, index, field)


def spec_from_mappings(mappings: dict[str, Any], index: str, field: str) -> FieldSpec:
    """The same from a `GET index/_mapping` response; does no I/O."""
    if not mappings:
        raise ClusterError(f"no index matches {index!r}")
    specs: dict[str, FieldSpec] = {}
    for name, body in mappings.items():
        fields = described_fields(body["mappings"])
        if field not in fields:
            has = f"its multi-vector fields are: {', '.join(fields)}" if fields else "it has no multi-vector field"
            raise MismatchError(f"index {name!r} has no multi-vector field {field!r} ({has})")
        specs[name] = FieldSpec.from_meta(fields[field])
    first, *others = specs.items()
    for name, spec in others:
        if spec != first[1]:
            raise MismatchError(
                f"{index!r} covers {first[0]!r} and {name!r}, whose field {field!r} differs in encoder, codec or "
                "sub-fields: search them one by one, or index one of them again"
            )
    return first[1]
