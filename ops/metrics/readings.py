"""What is read of a cluster for its operators, part by part; `cluster` says when."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError

from opensearch_multivector.errors import ClusterError, InputError, OsmvError
from opensearch_multivector.indexing.backfill.load import load_spec
from opensearch_multivector.indexing.backfill.scan import Scanner
from opensearch_multivector.indexing.backfill.status import status_of
from opensearch_multivector.indexing.fit import codebook_fit
from opensearch_multivector.indexing.patience import Patience
from opensearch_multivector.ops.metrics.canaries import read_canaries
from opensearch_multivector.ops.metrics.cluster import Part, Readings
from opensearch_multivector.plugin.attachments import NEW, Attachment, every_attachment
from opensearch_multivector.plugin.cluster_errors import cluster_errors
from opensearch_multivector.plugin.fields import META_KEY, VECTORS, FieldSpec, described_fields
from opensearch_multivector.plugin.inspection import inspect_index
from opensearch_multivector.plugin.mapping import read_spec

# Seconds between readings: counts are cheap, samples read documents.
FIELDS_EVERY = 30.0
SIZES_EVERY = 60.0
SAMPLES_EVERY = 900.0
NODES_EVERY = 15.0

_MOST_FIELDS = 200
_SAMPLE = 100
_PATIENCE = 5.0
_INDEXED = "indexed"
_NO_PLUGIN = (400, 404, 405)
# What the files of a Lucene index hold, by their ending.
_CONTENTS = {
    "doc_values": ("dvd", "dvm"),
    "knn_vectors": ("vec", "vem", "vex", "vemf", "vemq", "veq", "veb", "vemb"),
    "stored_fields": ("fdt", "fdx", "fdm"),
    "terms": ("tim", "tip", "tmd", "doc", "pos", "pay", "psm"),
}
_CONTENT_OF = {ending: content for content, endings in _CONTENTS.items() for ending in endings}
_CACHES = {"query": "query_cache", "request": "request_cache"}


@dataclass(frozen=True, slots=True)
class Watched:
    """A multi-vector field of an index; ``target``: the index that holds it."""

    index: str
    field: str
    mode: str
    target: str
    attachment: Attachment | None = None

    @property
    def place(self) -> dict[str, str]:
        """Its labels."""
        return {"index": self.index, "field": self.field}


def parts(
    client: OpenSearch,
    patterns: Sequence[str] = (),
    *,
    fields_every: float = FIELDS_EVERY,
    samples_every: float = SAMPLES_EVERY,
) -> list[Part]:
    """The parts of a cluster; ``patterns`` of index names, none: all. ``samples_every`` 0: nothing is sampled."""
    found = [
        Part("fields", fields_every, lambda into: read_fields(client, patterns, into)),
        Part("sizes", max(fields_every, SIZES_EVERY), lambda into: read_sizes(client, patterns, into)),
        Part("nodes", min(fields_every, NODES_EVERY), lambda into: read_nodes(client, into)),
        Part("canaries", fields_every, lambda into: read_canaries(client, into)),
    ]
    if samples_every:
        found.append(Part("samples", samples_every, lambda into: read_samples(client, patterns, into)))
    return found


def watched(client: OpenSearch, patterns: Sequence[str] = ()) -> list[Watched]:
    """The multi-vector fields of the cluster, attached ones and those of `osmv index`, by index and field.

    Raises ClusterError, InputError where they are too many to be told apart.
    """
    attachments = list(every_attachment(client))
    fields = {
        (each.index, each.field): Watched(each.index, each.field, each.mode, each.target, each)
        for each in attachments
        if not each.detaching
    }
    params = {"filter_path": f"*.mappings._meta.{META_KEY}", "ignore_unavailable": "true"}
    with cluster_errors():
        # By the patterns, as a user who may not read all indices may not ask for all.
        mappings = client.indices.get_mapping(index=",".join(patterns) or "*", params=params)
    held = {(each.target, each.field) for each in attachments}
    for index, body in mappings.items():
        for field in described_fields(body["mappings"]):
            if (index, field) not in held:
                fields.setdefault((index, field), Watched(index, field, _INDEXED, index))
    found = [
        each
        for _, each in sorted(fields.items())
        if not patterns or any(fnmatchcase(each.index, pattern) for pattern in patterns)
    ]
    if len(found) > _MOST_FIELDS:
        raise InputError(f"there are {len(found)} multi-vector fields, and {_MOST_FIELDS} at most are watched: --index")
    return found


def read_fields(client: OpenSearch, patterns: Sequence[str], into: Readings) -> None:
    """How far each field is filled."""
    for each in watched(client, patterns):
        into.add("osmv_field_info", 1, **each.place, mode=each.mode, target=each.target)
        with _one(into):
            if each.attachment is None:
                _read_indexed(client, each, into)
            else:
                _read_attached(client, each, into)


def _read_indexed(client: OpenSearch, each: Watched, into: Readings) -> None:
    for state in inspect_index(client, each.index):
        if state.spec.field == each.field:
            into.add("osmv_field_documents", state.documents, **each.place)
            into.add("osmv_field_covered_documents", state.documents - state.without_vectors, **each.place)
            into.add("osmv_field_missing_documents", state.without_vectors, **each.place)


def _read_attached(client: OpenSearch, each: Watched, into: Readings) -> None:
    status = status_of(client, each.index, each.field, refresh=False)
    for name, value in {
        "documents": status.documents,
        "covered_documents": status.covered,
        "missing_documents": status.missing,
        "orphaned_documents": status.orphaned,
        "dead_letters": status.failed,
        "pending_writes": status.pending,
        "workers": len(status.workers),
        "paused": status.paused,
    }.items():
        into.add(f"osmv_field_{name}", value, **each.place)
    rates = [pace["rate"] for pace in status.paces.values() if "rate" in pace]
    if rates:
        into.add("osmv_field_backfill_rate", sum(rates), **each.place)


def read_sizes(client: OpenSearch, patterns: Sequence[str], into: Readings) -> None:
    """How large the indices are that hold the fields, what their files hold, and how their caches do."""
    fields = watched(client, patterns)
    for each in fields:
        with _one(into):
            with cluster_errors():
                stats = client.indices.stats(
                    index=each.target,
                    metric="store,segments,query_cache,request_cache",
                    params={"include_segment_file_sizes": "true", "filter_path": "indices.*.primaries"},
                )
            for of_index in stats.get("indices", {}).values():
                _add_sizes(each, of_index["primaries"], into)


def _add_sizes(each: Watched, stats: dict[str, Any], into: Readings) -> None:
    place = each.place | {"target": each.target}
    into.add("osmv_field_store_bytes", stats["store"]["size_in_bytes"], **place)
    sizes = dict.fromkeys((*_CONTENTS, "other"), 0)
    for ending, size in stats["segments"].get("file_sizes", {}).items():
        sizes[_CONTENT_OF.get(ending, "other")] += size["size_in_bytes"]
    for content, size in sizes.items():
        into.add("osmv_field_file_bytes", size, **place, content=content)
    for cache, name in _CACHES.items():
        into.add("osmv_field_cache_hits_total", stats[name]["hit_count"], **each.place, cache=cache)
        into.add("osmv_field_cache_misses_total", stats[name]["miss_count"], **each.place, cache=cache)


def read_nodes(client: OpenSearch, into: Readings) -> None:
    """What the native plugin of each node did since that started; nothing where there is none."""
    with cluster_errors():
        try:
            answer = client.transport.perform_request("GET", "/_plugins/_multivector/stats")
        except TransportError as error:
            if error.status_code in _NO_PLUGIN:
                return
            raise
    for stats in answer["nodes"].values():
        node = {"node": stats["name"]}
        into.add("osmv_node_info", 1, **node, version=stats["version"], kernel=stats["kernel"])
        for name, value in {
            "maxsim_searches_total": stats["requests"],
            "maxsim_documents_total": stats["documents"],
            "maxsim_seconds_total": stats["nanoseconds"] / 1e9,
            "maxsim_read_bytes_total": stats["bytes"],
            "maxsim_damaged_total": stats["damaged"],
            "codebooks": stats["codebooks"]["count"],
            "codebook_bytes": stats["codebooks"]["size_in_bytes"],
            "codebook_loads_total": stats["codebooks"]["loads"],
            "breaker_limit_bytes": stats["breaker"]["limit_size_in_bytes"],
            "breaker_used_bytes": stats["breaker"]["estimated_size_in_bytes"],
            "breaker_tripped_total": stats["breaker"]["tripped"],
        }.items():
            into.add(f"osmv_node_{name}", value, **node)
    if failed := answer["_nodes"]["failed"]:
        into.errors.append(ClusterError(f"{failed} of the nodes did not say what their native plugin does"))


def read_samples(client: OpenSearch, patterns: Sequence[str], into: Readings) -> None:
    """What takes a look at documents: random ones, few of each field."""
    for each in watched(client, patterns):
        with _one(into):
            spec = read_spec(client, each.target, each.field)
            if each.attachment is not None and each.mode != NEW:
                _read_staleness(client, each, each.attachment, into)
            if spec.vectors:
                _read_vectors(client, each, spec, into)


def _read_staleness(client: OpenSearch, each: Watched, attachment: Attachment, into: Readings) -> None:
    scanner = Scanner(client, attachment, load_spec(client, attachment), Patience(_PATIENCE, threading.Event()))
    body = scanner.body(_at_random({"match_all": {}}), [{"_score": "desc"}], _SAMPLE)
    with cluster_errors():
        hits = client.search(index=attachment.index, body=body)["hits"]["hits"]
    found = scanner.found(hits)
    stored = [doc for doc in found if (doc.stored_as if attachment.is_beside else doc.hash) is not None]
    stale = sum(not scanner.is_fresh(doc, scanner.text_of(doc)) for doc in stored)
    into.add("osmv_field_sampled_documents", len(found), **each.place)
    into.add("osmv_field_stale_ratio", stale / len(stored) if stored else 0.0, **each.place)


def _read_vectors(client: OpenSearch, each: Watched, spec: FieldSpec, into: Readings) -> None:
    field = spec.sub(VECTORS)
    body = {
        "query": _at_random({"exists": {"field": field}}),
        "size": _SAMPLE // 2,
        "_source": False,
        "docvalue_fields": [field],
    }
    with cluster_errors():
        hits = client.search(index=each.target, body=body)["hits"]["hits"]
    if not hits:
        return
    # Base64 makes four characters of three bytes.
    sizes = [len(hit["fields"][field][0]) * 3 // 4 for hit in hits]
    into.add("osmv_field_vectors_bytes", sum(sizes) / len(sizes), **each.place)
    if "codebook" in spec.artifacts:
        fit = codebook_fit(client, each.target, each.field, sample=_SAMPLE)
        into.add("osmv_field_codebook_loss_ratio", fit.relative_loss, **each.place)
        into.add("osmv_field_codebook_drifted", fit.drifted, **each.place)
        into.add("osmv_field_codebook_outgrown", fit.outgrown, **each.place)


def _at_random(query: dict[str, Any]) -> dict[str, Any]:
    chance = {"random_score": {"seed": random.getrandbits(31), "field": "_seq_no"}}
    return {"function_score": {"query": query, **chance, "boost_mode": "replace"}}


@contextmanager
def _one(into: Readings) -> Iterator[None]:
    """What one field can't be asked for keeps nothing from the others."""
    try:
        yield
    except OsmvError as error:
        into.errors.append(error)
