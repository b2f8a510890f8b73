"""The index that a field is attached to, as its owner made it, and a random sample of its documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.readers.base import Entry, chain
from opensearch_multivector.indexing.records import Record, RejectedError
from opensearch_multivector.indexing.sampling import MAX_DOCUMENTS
from opensearch_multivector.plugin.attachments import concrete_index
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import FieldSpec, described_fields, values_at
from opensearch_multivector.plugin.whole_answers import EVERY_SHARD

_PAGE = 500
_FIELD_LIMIT = 1_000  # OpenSearch's own, where the index sets none


@dataclass(frozen=True, slots=True)
class Host:
    """``mappings``, ``settings`` (those under `index`) and ``aliases`` as OpenSearch gives them.

    ``name``: as it was asked for, which may be an alias; ``documents``: live ones now; ``data_stream``: which the index
    is a part of, "" for none.
    """

    name: str
    index: str
    uuid: str
    documents: int
    mappings: Mapping[str, Any]
    settings: Mapping[str, Any]
    aliases: Mapping[str, Any]
    data_stream: str = ""

    def setting(self, name: str) -> Any:
        """A setting by its dotted name below `index`; None where it is not set."""
        value: Any = self.settings
        for key in name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def is_on(self, name: str) -> bool:
        """Whether a setting of that name is true."""
        return str(self.setting(name)).lower() == "true"

    @property
    def field_limit(self) -> int:
        """How many fields the index may have."""
        return int(self.setting("mapping.total_fields.limit") or _FIELD_LIMIT)

    def property(self, name: str) -> Mapping[str, Any] | None:
        """The mapping of a field by its dotted name, of a multi-field none; None where it has none."""
        found: Mapping[str, Any] | None = self.mappings
        for key in name.split("."):
            found = found.get("properties", {}).get(key) if found else None
        return found

    def described(self, field: str) -> FieldSpec | None:
        """The multi-vector field of that name, where the index itself has one."""
        meta = described_fields(self.mappings).get(field)
        return FieldSpec.from_meta(meta) if meta else None


def read_host(client: OpenSearch, name: str) -> Host:
    """The index of that name or alias. Raises ClusterError, and InputError where an alias covers several."""
    index, uuid = concrete_index(client, name)
    with cluster_errors():
        there = client.indices.get(index=index)[index]
        documents = int(client.count(index=index)["count"])
    return Host(
        name,
        index,
        uuid,
        documents,
        there["mappings"],
        there["settings"]["index"],
        there["aliases"],
        there.get("data_stream", ""),
    )


def random_documents(
    client: OpenSearch, index: str, count: int, source: Sequence[str] | bool = True
) -> Iterator[dict[str, Any]]:
    """Hits of at most ``count`` documents, picked evenly, the same ones as long as nothing is written.

    ``source``: the fields of `_source` that are wanted. Raises ClusterError.
    """
    random = {"random_score": {"seed": 0, "field": "_seq_no"}, "boost_mode": "replace"}
    body = {"query": {"function_score": random}, "_source": source, "version": True, "track_total_hits": False}
    for start in range(0, count, _PAGE):
        size = min(_PAGE, count - start)
        with cluster_errors():
            page = body | {"from": start, "size": size}
            hits = client.search(index=index, body=page, params=EVERY_SHARD)["hits"]["hits"]
        yield from hits
        if len(hits) < size:
            return


class SampleReader:
    """Texts of random documents, for what has to be learnt from some: more of them than a sample takes.

    It can't start over, so that a sample takes what comes first, and does not take it for the whole index.
    """

    size: int | None = None
    rewindable = False
    ready = False

    def __init__(self, client: OpenSearch, index: str, spec: FieldSpec) -> None:
        self.name = f"index {index}"
        self._hits = random_documents(client, index, MAX_DOCUMENTS + 1, spec.text_fields)
        self._spec = spec

    @property
    def seed(self) -> bytes:
        """See `Reader`."""
        return chain(b"sample", self.name.encode())

    def entries(self) -> Iterator[Entry]:
        """See `Reader`."""
        for line, hit in enumerate(self._hits, start=1):
            yield Entry(line, hit, self.seed, line)

    def parse(self, entry: Entry) -> Record:
        """See `Reader`."""
        return text_record(self._spec, entry.raw)

    def show(self, entry: Entry) -> str:
        """See `Reader`."""
        return str(entry.raw["_id"])


def text_record(spec: FieldSpec, hit: Mapping[str, Any]) -> Record:
    """What is encoded of a hit. Raises RejectedError where it has no text."""
    text = spec.text_of(hit.get("_source") or {})
    if not text:
        raise RejectedError("text is empty", hit["_id"])
    return Record(hit["_id"], text, b"{}")


def check_text_fields(host: Host, text_fields: Sequence[str], sampled: Sequence[Mapping[str, Any]]) -> None:
    """Raise InputError where a text field is neither in the mapping nor in any of the sampled `_source`."""
    for name in text_fields:
        mapped = host.property(name)
        if mapped is not None and mapped.get("type") == "alias":
            raise InputError(f"text field {name!r} is an alias of {mapped['path']!r}: name that")
        if mapped is None and not any(True for source in sampled for _ in values_at(source, name)):
            known = sorted({*host.mappings.get("properties", {}), *(key for source in sampled for key in source)})
            raise InputError(
                f"index {host.index!r} has no field {name!r} to take texts from: it has {', '.join(known) or 'none'}"
            )
