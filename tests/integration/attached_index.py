"""An index of somebody's, and what is attached to it: by hand, so that each test decides what is in the sidecar."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from opensearchpy import OpenSearch
from small_index import SmallIndex, make_index

from opensearch_multivector.plugin.attachments import (
    SIDECAR,
    Attachment,
    concrete_index,
    put_attachment,
    remove_attachment,
    sidecar_name,
)
from opensearch_multivector.plugin.mapping import sidecar_body
from opensearch_multivector.queries.results import SearchResult

TEXT_FIELDS = ("title", "text")
FILTER_FIELDS = ("group",)


@dataclass
class AttachedIndex:
    """``whole``: the same documents as an index of the project's own holds them, to compare with."""

    client: OpenSearch
    name: str
    whole: SmallIndex
    routed: bool = False

    @property
    def sidecar(self) -> str:
        return sidecar_name(self.name)

    def own(self, doc_id: str) -> dict[str, Any]:
        """A document as its application has it."""
        body = {key: value for key, value in self.whole.body(doc_id).items() if not key.startswith("mv.")}
        return body | {"lang": "en", "number": int(doc_id[1:])}

    def routing(self, doc_id: str) -> dict[str, str]:
        return {"routing": self.whole.groups[doc_id]} if self.routed else {}

    def write(self, doc_id: str, **changes: Any) -> int:
        """Write the user's document; its sequence number."""
        params = {"refresh": "true", **self.routing(doc_id)}
        body = self.own(doc_id) | changes
        return int(self.client.index(index=self.name, id=doc_id, body=body, params=params)["_seq_no"])

    def beside(self, doc_id: str) -> dict[str, Any]:
        """The sidecar's document."""
        stored = {key: value for key, value in self.whole.body(doc_id).items() if key.startswith("mv.")}
        return stored | {"group": self.whole.groups[doc_id], "mv.hash": "any"}

    def write_beside(self, doc_id: str, seq_no: int, **changes: Any) -> None:
        """Write the sidecar's document, as one of the user's document at that sequence number."""
        place = {"version": seq_no + 1, "version_type": "external_gte"}
        params = {"refresh": "true", **place, **self.routing(doc_id)}
        self.client.index(index=self.sidecar, id=doc_id, body=self.beside(doc_id) | changes, params=params)

    def delete(self, doc_id: str) -> None:
        """Delete the user's document; the sidecar's stays."""
        self.client.delete(index=self.name, id=doc_id, params={"refresh": "true", **self.routing(doc_id)})


def make_attached(
    client: OpenSearch, name: str, count: int = 40, shards: int = 2, routed: bool = False
) -> AttachedIndex:
    """Also makes the index to compare with, called ``NAME-whole``."""
    small = make_index(client, f"{name}-whole", count=count, shards=shards)
    attached = AttachedIndex(client, name, small, routed)
    body = index_body(shards)
    client.indices.create(index=name, body=body)
    spec = replace(small.spec, has_text_copy=False, text_fields=TEXT_FIELDS)
    beside = sidecar_body(spec, body["mappings"], FILTER_FIELDS, settings={"number_of_shards": shards})
    client.indices.create(index=attached.sidecar, body=beside)
    put_attachment(client, attachment(client, attached))
    lines: list[dict[str, Any]] = []
    for doc_id in small.vectors:
        lines += [{"index": {"_id": doc_id, **attached.routing(doc_id)}}, attached.own(doc_id)]
    written = client.bulk(index=name, body=lines, params={"refresh": "true"})
    lines = []
    for doc_id, item in zip(small.vectors, written["items"], strict=True):
        place = {"_id": doc_id, "version": item["index"]["_seq_no"] + 1, "version_type": "external_gte"}
        lines += [{"index": place | attached.routing(doc_id)}, attached.beside(doc_id)]
    answer = client.bulk(index=attached.sidecar, body=lines, params={"refresh": "true"})
    assert not answer["errors"], answer
    return attached


def index_body(shards: int) -> dict[str, Any]:
    """Settings and mappings of an index as an application has it."""
    text = {"type": "text", "analyzer": "english"}
    keywords = {name: {"type": "keyword"} for name in ("group", "lang")}
    return {
        "settings": {"number_of_shards": shards, "number_of_replicas": 0},
        "mappings": {"properties": {"title": text, "text": text, "number": {"type": "integer"}, **keywords}},
    }


def attachment(client: OpenSearch, attached: AttachedIndex) -> Attachment:
    """As `osmv attach` records it."""
    index, uuid = concrete_index(client, attached.name)
    made_at = "2026-01-01T00:00:00+00:00"
    return Attachment(index, uuid, "mv", SIDECAR, attached.sidecar, TEXT_FIELDS, "any", made_at, FILTER_FIELDS)


def remove_attached(client: OpenSearch, name: str) -> None:
    """Remove all that `make_attached` made."""
    indices = f"{name},{name}-whole,{sidecar_name(name)}"
    client.indices.delete(index=indices, params={"ignore_unavailable": "true"})
    remove_attachment(client, name, "mv")


def ids(result: SearchResult) -> list[str]:
    """The documents that were found, best first."""
    return [hit.doc_id for hit in result.hits]
