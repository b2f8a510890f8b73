"""What attaching a field would do to an index in each mode, said before anything is done."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.indexing.attach.copied import copied_properties, copy_name
from opensearch_multivector.indexing.attach.host import Host, check_text_fields, random_documents, text_record
from opensearch_multivector.indexing.attach.measuring import Measured, measure
from opensearch_multivector.indexing.attach.notices import notices
from opensearch_multivector.indexing.attach.obstacles import obstacles
from opensearch_multivector.indexing.attach.wanted import Wanted
from opensearch_multivector.indexing.backfill.scan import PAGE
from opensearch_multivector.indexing.records import Record, RejectedError
from opensearch_multivector.plugin.attachments import IN_PLACE, NEW, SIDECAR, Mode, sidecar_name
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import FieldSpec, without_field
from opensearch_multivector.plugin.mapping import attached_properties

MODES: tuple[Mode, ...] = (IN_PLACE, SIDECAR, NEW)
_SAMPLE = 64
# A share of `_source` by which it may grow before a sidecar is the better advice.
_GROWTH = 0.5


@dataclass(frozen=True, slots=True)
class ModePlan:
    """One mode. ``why_not``: what stands in its way; where anything does, no figures are reckoned.

    ``target``: the index that `F.*` is written to, ``properties``: what its mapping gets. ``notices``: what others will
    notice. ``documents``: those with text. ``source_bytes``: by which `_source` of a document grows on average;
    ``sent_bytes``, ``disk_bytes``: of all documents together, a replica apart; ``seconds``: of encoding them in one
    process here; ``requests``: to read and write them all once.
    """

    mode: Mode
    target: str
    sub_fields: tuple[str, ...]
    properties: Mapping[str, Any]
    why_not: tuple[str, ...]
    notices: tuple[str, ...] = ()
    documents: int = 0
    source_bytes: int = 0
    sent_bytes: int = 0
    disk_bytes: int = 0
    seconds: float = 0.0
    requests: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """``sampled`` of ``documents`` were read, of which ``with_text`` have text and a share ``truncated`` is too long.

    ``recommended``: None where no mode is possible; ``because`` says why it is this one.
    """

    index: str
    field: str
    documents: int
    sampled: int
    with_text: int
    truncated: float
    document_bytes: int
    modes: tuple[ModePlan, ...]
    recommended: Mode | None
    because: str

    def mode(self, mode: Mode) -> ModePlan:
        """The plan of one mode."""
        return next(each for each in self.modes if each.mode == mode)

    def to_dict(self) -> dict[str, Any]:
        """As `osmv attach --dry-run --json` prints it."""
        return asdict(self)


def plan(client: OpenSearch, host: Host, wanted: Wanted, sample: int = _SAMPLE, *, target: str = "") -> Plan:
    """Read and encode a few documents, write nothing. Raises InputError on unusable wishes, and ClusterError.

    ``target``: how the new index is to be called.
    """
    hits = list(random_documents(client, host.index, sample))
    check_text_fields(host, wanted.text_fields, [hit["_source"] for hit in hits if "_source" in hit])
    specs = {mode: wanted.spec(host, mode) for mode in MODES}
    records = [record for hit in hits if (record := _record(specs[IN_PLACE], hit))]
    own_bytes = [_own_bytes(hit.get("_source") or {}, wanted.field) for hit in hits]
    mean_bytes = sum(own_bytes) / max(len(own_bytes), 1)
    measured: dict[Mode, Measured] = {}
    copied_bytes = _stored_bytes(client, host)
    modes = []
    for mode, spec in specs.items():
        name = {IN_PLACE: host.index, NEW: copy_name(host, target)}.get(mode) or sidecar_name(host.index, wanted.field)
        properties = copied_properties(spec) if mode == NEW else attached_properties(spec)
        bare = ModePlan(
            mode,
            name,
            tuple(each.name for each in spec.sub_fields),
            properties[spec.field]["properties"],
            blocked(host, wanted, mode, hits),
        )
        if not bare.why_not and records:
            same = next((each for each in measured if specs[each] == spec), None)
            measured[mode] = measured[same] if same else measure(spec, records, wanted.encoder, wanted.term_encoder)
            bare = _reckoned(bare, host, hits, len(records) / len(hits), measured[mode], mean_bytes, copied_bytes)
        modes.append(bare)
    recommended, because = _advice(modes, mean_bytes)
    return Plan(
        index=host.index,
        field=wanted.field,
        documents=host.documents,
        sampled=len(hits),
        with_text=len(records),
        truncated=round(max((each.truncated for each in measured.values()), default=0.0), 3),
        document_bytes=round(mean_bytes),
        modes=tuple(modes),
        recommended=recommended,
        because=because,
    )


def blocked(host: Host, wanted: Wanted, mode: Mode, hits: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Why the field can't be attached in this mode (`obstacles`), also as the sampled documents show it."""
    found = obstacles(host, wanted.spec(host, mode), mode, wanted.filter_fields)
    if mode == IN_PLACE and host.property(wanted.field) is None:
        own = next((hit["_id"] for hit in hits if _takes(hit.get("_source") or {}, wanted.field)), None)
        if own is not None:
            found += (f"document {own!r} has a field {wanted.field!r} of its own: give another --field",)
    return found


def _reckoned(
    bare: ModePlan,
    host: Host,
    hits: Sequence[Mapping[str, Any]],
    share: float,
    each: Measured,
    mean_bytes: float,
    copied_bytes: int,
) -> ModePlan:
    documents = round(host.documents * share)
    pages = math.ceil(host.documents / PAGE)
    in_source = bare.mode != SIDECAR
    # The blob lies in doc values as it is; of the rest, numbers that are written out take about twice their room.
    indexed = each.blob_bytes + (each.json_bytes - each.blob_bytes * 4 / 3) / 2
    disk = documents * (indexed + (each.json_bytes if in_source else 0))
    sent = documents * each.json_bytes
    if bare.mode == NEW:
        disk += copied_bytes
        sent += host.documents * mean_bytes
    return replace(
        bare,
        notices=notices(bare.mode, bare.target, len(bare.properties), host, hits, each.json_bytes, mean_bytes),
        documents=documents,
        source_bytes=round(each.json_bytes) if in_source else 0,
        sent_bytes=round(sent),
        disk_bytes=round(disk),
        seconds=round(documents * each.seconds, 1),
        # In place a page is read and written; elsewhere its versions are read, too; a copy is read once more when it
        # has taken over.
        requests=pages * {IN_PLACE: 2, SIDECAR: 3, NEW: 4}[bare.mode],
    )


def _advice(modes: Sequence[ModePlan], mean_bytes: float) -> tuple[Mode | None, str]:
    possible = {each.mode: each for each in modes if not each.why_not}
    if not possible:
        return None, "no mode is possible"
    if len(possible) == 1:
        (mode,) = possible
        return mode, "no other is possible"
    if IN_PLACE not in possible:
        return SIDECAR, "in place is not possible, and a new index would be the whole index once more"
    if SIDECAR not in possible:
        return IN_PLACE, "a sidecar is not possible, and a new index would be the whole index once more"
    growth = possible[IN_PLACE].source_bytes / max(mean_bytes, 1)
    if growth > _GROWTH:
        return SIDECAR, f"in place, `_source` of each document would grow by {growth:.0%}, for every application"
    return IN_PLACE, f"`_source` of each document grows by {growth:.0%} alone, and one request searches and filters"


def _stored_bytes(client: OpenSearch, host: Host) -> int:
    with cluster_errors():
        stats = client.indices.stats(index=host.index, metric="store")
    return int(stats["_all"]["primaries"].get("store", {}).get("size_in_bytes", 0))


def _record(spec: FieldSpec, hit: Mapping[str, Any]) -> Record | None:
    try:
        return text_record(spec, hit)
    except RejectedError:
        return None


def _own_bytes(source: Mapping[str, Any], field: str) -> int:
    own = without_field(source, field)
    return len(json.dumps(own, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))


def _takes(source: Mapping[str, Any], field: str) -> bool:
    return any(name.split(".", 1)[0] == field for name in source)
