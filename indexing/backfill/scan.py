"""The documents of a range of a shard's sequence numbers, a page at a time, lowest first.

A document lies under the number of its latest write. One that is written while the range is read leaves it for a
higher number, so nothing can slip in behind a page that was read: no point in time needs to be held in the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing.backfill.beside import Text, text_wanted
from opensearch_multivector.indexing.patience import Patience
from opensearch_multivector.plugin.attachments import IN_PLACE, NEW, SIDECAR, Attachment
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.documents import get_documents
from opensearch_multivector.plugin.fields import HASH, FieldSpec
from opensearch_multivector.plugin.whole_answers import EVERY_SHARD

PAGE = 500


@dataclass(frozen=True, slots=True)
class Found:
    """A document as it was found; ``source`` holds the fields asked for, ``hash`` is `F.hash` where it has one.

    ``stored_as``: in a sidecar, the version it has there (None: it is not there).
    """

    doc_id: str
    routing: str | None
    seq_no: int
    primary_term: int
    source: dict[str, Any] = field(default_factory=dict)
    hash: str | None = None
    stored_as: int | None = None

    @property
    def version(self) -> int:
        """What a sidecar's document made of this one is written with: it rises with every write."""
        return self.seq_no + 1


class Scanner:
    """Reads the attached index. Raises ClusterError where patience runs out."""

    def __init__(self, client: OpenSearch, attachment: Attachment, spec: FieldSpec, patience: Patience) -> None:
        self._client = client
        self._attachment = attachment
        self._spec = spec
        self._patience = patience
        filters = attachment.filter_fields if attachment.mode == SIDECAR else ()
        self._wanted = True if attachment.mode == NEW else [*attachment.text_fields, *filters]
        self._hash = [spec.sub(HASH)] if attachment.mode == IN_PLACE else []

    def pages(self, shard: int, after: int, to: int, page: int = PAGE) -> Iterator[tuple[int, Sequence[Found]]]:
        """Documents whose latest write is in (``after``, ``to``], which must be below or at the shard's horizon.

        With each page the number up to which there are no others; the last page may be empty.
        """
        while True:
            body = page_body(after, to, page, self._wanted, self._hash)
            hits = self._patience(lambda body=body: search_shard(self._client, self._attachment.index, shard, body))  # type: ignore[misc]
            last = len(hits) < page or hits[-1]["_seq_no"] >= to
            yield to if last else hits[-1]["_seq_no"], self.found(hits)
            if last:
                return
            after = hits[-1]["_seq_no"]

    def body(self, query: dict[str, Any], sort: list[Any], size: int) -> dict[str, Any]:
        """The request for a page of what matches a query; `found` reads its hits."""
        return page_body(-1, -1, size, self._wanted, self._hash) | {"query": query, "sort": sort}

    def found(self, hits: Sequence[dict[str, Any]]) -> Sequence[Found]:
        """The documents of hits, with what is stored of them in a sidecar."""
        return self._with_versions([_found(hit, self._hash) for hit in hits])

    def text_of(self, found: Found) -> Text:
        """The text of a document and the hash that belongs to it."""
        return text_wanted(self._spec, self._attachment, found.source)

    def is_fresh(self, found: Found, text: Text) -> bool:
        """Whether what is stored for the document is of its text as it is now."""
        if self._attachment.is_beside:
            # A version above ours is a later write's, whose page is another.
            return found.stored_as is not None and found.stored_as >= found.version
        return found.hash == (text.hash if text.has_fields else None)

    def _with_versions(self, found: Sequence[Found]) -> Sequence[Found]:
        if not self._attachment.is_beside or not found:
            return found
        versions = self._patience(lambda: versions_of(self._client, self._attachment.target, found))
        return [
            Found(each.doc_id, each.routing, each.seq_no, each.primary_term, each.source, stored_as=version)
            for each, version in zip(found, versions, strict=True)
        ]


def page_body(
    after: int, to: int, size: int, wanted: Sequence[str] | bool, doc_values: Sequence[str] = ()
) -> dict[str, Any]:
    """The request for a page of (``after``, ``to``]; ``wanted``: fields of `_source`, or whether all of it."""
    return {
        "query": {"range": {"_seq_no": {"gt": after, "lte": to}}},
        "sort": ["_seq_no"],
        "size": size,
        "track_total_hits": False,
        "seq_no_primary_term": True,
        "version": True,
        "_source": wanted if isinstance(wanted, bool) else list(wanted) or False,
        "docvalue_fields": list(doc_values),
    }


def search_shard(client: OpenSearch, index: str, shard: int, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Hits of one shard's primary. Raises ClusterError where it did not answer in full."""
    # The primary, as replicas that copy segments lag behind a refresh.
    params = {"preference": f"_shards:{shard}|_primary", **EVERY_SHARD}
    with cluster_errors():
        response = client.search(index=index, body=body, params=params)
    return hits_in_full(response, f"shard {shard} of index {index!r} did not answer in full: try again")


def hits_in_full(response: Mapping[str, Any], refusal: str) -> list[dict[str, Any]]:
    """A search's hits. Raises ClusterError with the sentence ``refusal`` where a shard failed or was too late."""
    if response["timed_out"] or response["_shards"]["failed"]:
        raise ClusterError(refusal)
    hits: list[dict[str, Any]] = response["hits"]["hits"]
    return hits


def last_seq_no(client: OpenSearch, index: str, shard: int) -> int:
    """The highest sequence number among a shard's visible documents; -1 where it has none. Raises ClusterError."""
    body = {"sort": [{"_seq_no": "desc"}], "size": 1, "seq_no_primary_term": True, "_source": False}
    hits = search_shard(client, index, shard, body)
    return int(hits[0]["_seq_no"]) if hits else -1


def versions_of(client: OpenSearch, index: str, documents: Sequence[Found]) -> list[int | None]:
    """Each document's version in an index, also where it is not yet visible to searches; None where it is absent.

    Raises ClusterError, also where one of them can't be said.
    """
    docs = get_documents(client, index, [(each.doc_id, each.routing) for each in documents], source=False)
    return [doc["_version"] if doc["found"] else None for doc in docs]


def _found(hit: dict[str, Any], hash_field: Sequence[str]) -> Found:
    hashes = hit.get("fields", {}).get(hash_field[0], [None]) if hash_field else [None]
    return Found(
        hit["_id"], hit.get("_routing"), hit["_seq_no"], hit["_primary_term"], hit.get("_source") or {}, hashes[0]
    )
