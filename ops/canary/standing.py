"""What of a canary's exact answers still stands, and what was written since they were made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing.backfill.scan import hits_in_full
from opensearch_multivector.ops.canary.canary import Answer, Canary, Query
from opensearch_multivector.ops.canary.exact import hash_of, readable
from opensearch_multivector.plugin.cluster_errors import cluster_errors, is_forbidden
from opensearch_multivector.plugin.fields import VECTORS, FieldSpec
from opensearch_multivector.plugin.whole_answers import EVERY_SHARD
from opensearch_multivector.queries.rerankers.blobs import blob_of
from opensearch_multivector.queries.searcher import Searcher

_IDS = 500  # asked for at once
_BLOBS = 50


@dataclass(frozen=True, slots=True)
class Standing:
    """What of the answers still stands: ``gone`` and ``changed`` ids are left out, ``lost`` ones are missed.

    ``same``: ids of all that were not written since, the nearest neighbours among them.
    """

    gone: frozenset[str]
    changed: frozenset[str]
    lost: frozenset[str]
    same: frozenset[str]

    def of(self, query: Query) -> list[Answer]:
        """The answers that a search should find."""
        return [each for each in query.answers if each.doc_id not in self.gone and each.doc_id not in self.changed]

    def near(self, query: Query, first_stage: str) -> list[Answer]:
        """The nearest neighbours that k-NN should find: of what was written since their vectors may be others."""
        return [each for each in query.neighbours[first_stage] if each.doc_id in self.same]

    def known(self, queries: Sequence[Query]) -> set[str]:
        """Ids of all that stands."""
        return set(self.same).union(*({each.doc_id for each in self.of(query)} for query in queries))


def still_standing(client: OpenSearch, searcher: Searcher, index: str, queries: Sequence[Query]) -> Standing:
    """Look the answers up in ``index``, which holds the vectors. Raises ClusterError."""
    answers = {each.doc_id: each for query in queries for each in query.answers}
    near = {each.doc_id: each for query in queries for found in query.neighbours.values() for each in found}
    every = near | answers
    there: dict[str, int] = {}
    # Of a sidecar's documents the user's index says which are there; those beside may be orphans, or missing.
    alive: set[str] = set()
    for ids in _batches(sorted(every), _IDS):
        there |= {hit["_id"]: hit["_seq_no"] for hit in _search(client, index, _ids_body(ids))}
        if searcher.sidecar is not None:
            alive |= {hit["_id"] for hit in _search(client, searcher.sidecar.index, _ids_body(ids))}
    if searcher.sidecar is None:
        alive = set(there)
    same = {doc_id for doc_id in alive & there.keys() if there[doc_id] == every[doc_id].seq_no}
    alive &= answers.keys()
    lost = alive - there.keys()
    changed: set[str] = set()
    rewritten = sorted((alive & there.keys()) - same)
    for doc_id, blob in blobs_of(client, index, searcher.spec, rewritten):
        if blob is not None and hash_of(blob) == answers[doc_id].blob:
            continue  # written, and its vectors are what they were
        (lost if readable(searcher.spec, blob) is None else changed).add(doc_id)
    return Standing(frozenset(answers.keys() - alive), frozenset(changed), frozenset(lost), frozenset(same))


def blobs_of(client: OpenSearch, index: str, spec: FieldSpec, ids: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
    """The stored vectors of documents, a few at a time. Raises ClusterError."""
    for some in _batches(ids, _BLOBS):
        for hit in _search(client, index, _ids_body(some) | {"docvalue_fields": [spec.sub(VECTORS)]}):
            yield hit["_id"], blob_of(spec, hit, VECTORS)


def written_among(client: OpenSearch, index: str, canary: Canary, ids: Collection[str]) -> set[str]:
    """Those of the documents that were written since. Raises ClusterError."""
    new: set[str] = set()
    for some in _batches(sorted(ids), _IDS):
        body = _ids_body(some)
        for shard, horizon in enumerate(canary.horizons):
            later = {"bool": {"filter": [body["query"], {"range": {"_seq_no": {"gt": horizon}}}]}}
            hits = _search(client, index, body | {"query": later}, {"preference": f"_shards:{shard}"})
            new |= {hit["_id"] for hit in hits}
    return new


def written_since(client: OpenSearch, index: str, canary: Canary) -> int:
    """How many documents were written since, as far as they are there. Raises ClusterError."""
    found = 0
    for shard, horizon in enumerate(canary.horizons):
        body = {"size": 0, "track_total_hits": True, "query": {"range": {"_seq_no": {"gt": horizon}}}}
        params = {"preference": f"_shards:{shard}", **EVERY_SHARD}
        with cluster_errors():
            answer = client.search(index=index, body=body, params=params)
        hits_in_full(answer, f"shard {shard} of index {index!r} did not answer in full: try again")
        found += int(answer["hits"]["total"]["value"])
    return found


def segments_of(client: OpenSearch, index: str) -> int | None:
    """Of the primaries: each is an HNSW graph of its own. None where that is not for this user to ask."""
    params = {"filter_path": "_all.primaries.segments.count"}
    try:
        with cluster_errors():
            stats = client.indices.stats(index=index, metric="segments", params=params)
    except ClusterError as error:
        if is_forbidden(error):
            return None
        raise
    count = stats.get("_all", {}).get("primaries", {}).get("segments", {}).get("count")
    return int(count) if count is not None else None


def _ids_body(ids: Sequence[str]) -> dict[str, Any]:
    return {
        "query": {"ids": {"values": list(ids)}},
        "size": len(ids),
        "_source": False,
        "seq_no_primary_term": True,
        "track_total_hits": False,
    }


def _search(
    client: OpenSearch, index: str, body: dict[str, Any], params: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    params = {**EVERY_SHARD, **(params or {})}
    with cluster_errors():
        response = client.search(index=index, body=body, params=params)
    return hits_in_full(response, f"index {index!r} did not answer in full: try again")


def _batches(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    remaining = iter(ids)
    while batch := list(islice(remaining, size)):
        yield batch
