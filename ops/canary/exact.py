"""The exact best documents of many queries: MaxSim with every stored blob, a page at a time.

Pages come shard by shard in the order of sequence numbers up to those that were the highest at the start
(`indexing.backfill.scan`): nothing has to be held open in the cluster, a scan that was killed goes on from the last
page that was noted, on any machine, and memory holds one page and the best so far.
"""

from __future__ import annotations

import hashlib
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from threading import Event
from typing import Any

import numpy as np
from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException

from opensearch_multivector.encoding.blas import one_thread
from opensearch_multivector.encoding.codecs import decode_blob
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import BlobError, MismatchError
from opensearch_multivector.indexing.backfill.horizons import number_of_shards
from opensearch_multivector.indexing.backfill.scan import last_seq_no, page_body, search_shard
from opensearch_multivector.indexing.backfill.throttle import Throttle
from opensearch_multivector.ops.canary.canary import Answer
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import VECTORS, FieldSpec
from opensearch_multivector.plugin.stored_types import read_back
from opensearch_multivector.queries.rerankers.blobs import blob_of
from opensearch_multivector.queries.rerankers.client import vectors_bytes

_PAGE_BYTES = 8_000_000
_SIMILARITIES = 4_000_000  # held at a time
_NOTED_EVERY = 20.0
_MARKS = 400


@dataclass(slots=True)
class Scan:
    """Where a scan stands; small enough to be noted now and then.

    ``horizons``, ``reached``, ``counts``: by shard the last sequence number to read, the one that was read, and the
    documents with vectors so far; ``marks``: of some of them the number and the count.
    ``best``: for each query [id, score, seq_no, shard, count, blob's hash], best first.
    """

    horizons: list[int]
    reached: list[int]
    counts: list[int]
    marks: list[list[list[int]]]
    best: list[list[list[Any]]]
    unreadable: int = 0
    documents: int = 0
    share: float = 1.0

    def to_state(self) -> dict[str, Any]:
        """As stored."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Scan:
        """Inverse of `to_state`. Raises MismatchError on what is none."""
        return read_back(lambda: cls(**state), "where the scan for a canary stands")

    def count(self, shard: int, seq_no: int) -> None:
        """Count a document; where it lies is remembered of a few hundred in all."""
        self.counts[shard] += 1
        marks = self.marks[shard]
        if not marks or self.counts[shard] - marks[-1][1] >= self.documents * self.share / _MARKS:
            marks.append([seq_no, self.counts[shard]])

    def age(self, shard: int, seq_no: int) -> float:
        """About where a document stands among the shard's (`Answer.age`), by its sequence number."""
        marks = self.marks[shard]
        place = bisect_left(marks, seq_no, key=lambda mark: mark[0])
        count = marks[place][1] if place < len(marks) else self.counts[shard]
        return count / max(self.counts[shard], 1)

    def answers(self) -> list[tuple[Answer, ...]]:
        """For each query its best documents."""
        return [
            tuple(
                Answer(doc_id, s, seq_no, n / max(self.counts[shard], 1), b) for doc_id, s, seq_no, shard, n, b in found
            )
            for found in self.best
        ]


def begin(client: OpenSearch, index: str, queries: int, sample: int) -> Scan:
    """A scan of all documents that are there now, or of about ``sample`` of them where there are more (0: of all).

    Raises ClusterError.
    """
    with cluster_errors():
        with suppress(AuthorizationException):  # readers may not: then it is of what searches see, too
            client.indices.refresh(index=index)
        documents = int(client.count(index=index)["count"])
    shards = number_of_shards(client, index)
    horizons = [last_seq_no(client, index, shard) for shard in range(shards)]
    share = min(1.0, sample / documents) if sample and documents else 1.0
    nothing: list[list[list[int]]] = [[] for _ in horizons]
    best: list[list[list[Any]]] = [[] for _ in range(queries)]
    return Scan(horizons, [-1] * shards, [0] * shards, nothing, best, documents=documents, share=share)


@dataclass(slots=True)
class Scanner:
    """Scores the documents of ``index`` with ``queries``, each (tokens, dim), as they were encoded for the field.

    ``keep``: of the best for each query. ``rate``: documents read per second, at most. ``note`` is called now and then
    with a scan that can be gone on with.
    """

    client: OpenSearch
    index: str
    spec: FieldSpec
    queries: Sequence[FloatArray]
    keep: int
    rate: float | None = None
    note: Callable[[Scan], None] = lambda _: None
    progress: Callable[[int, int], None] = lambda _done, _total: None
    stop: Event = field(default_factory=Event)
    clock: Callable[[], float] = time.monotonic

    def run(self, scan: Scan) -> bool:
        """Go on to the end; False where it was stopped before, after noting where. Raises ClusterError."""
        noted = self.clock()
        throttle = Throttle(self.rate, self.stop)
        size = throttle.portion(max(10, min(500, _PAGE_BYTES * 3 // 4 // max(1, vectors_bytes(self.spec)))))
        for shard, horizon in enumerate(scan.horizons):
            while scan.reached[shard] < horizon:
                if self.stop.is_set():
                    self.note(scan)
                    return False
                throttle.wait(size)
                hits = search_shard(self.client, self.index, shard, self._body(scan, shard, size))
                self._score(scan, shard, hits)
                scan.reached[shard] = hits[-1]["_seq_no"] if len(hits) == size else horizon
                self.progress(sum(scan.counts), round(scan.documents * scan.share))
                if self.clock() - noted > _NOTED_EVERY:
                    self.note(scan)
                    noted = self.clock()
        self.progress(sum(scan.counts), sum(scan.counts))  # some documents have no vectors
        return True

    def _body(self, scan: Scan, shard: int, size: int) -> dict[str, Any]:
        vectors = self.spec.sub(VECTORS)
        body = page_body(scan.reached[shard], scan.horizons[shard], size, False, [vectors])
        filters = [body["query"], {"exists": {"field": vectors}}]
        if scan.share < 1:
            # As good as a coin: the number is made of the sequence number, so that a scan that goes on has the same.
            drawn = {"random_score": {"seed": 1, "field": "_seq_no"}, "boost_mode": "replace"}
            filters.append({"function_score": {**drawn, "min_score": 1 - scan.share}})
        return body | {"query": {"bool": {"filter": filters}}}

    def _score(self, scan: Scan, shard: int, hits: Sequence[dict[str, Any]]) -> None:
        found: list[tuple[dict[str, Any], int, bytes]] = []
        vectors: list[FloatArray] = []
        for hit in hits:
            scan.count(shard, hit["_seq_no"])
            blob = blob_of(self.spec, hit, VECTORS)
            document = readable(self.spec, blob)
            if document is None:
                scan.unreadable += 1
            elif len(document):
                found.append((hit, scan.counts[shard], blob or b""))
                vectors.append(document)
        if not found:
            return
        for query, scores in enumerate(maxsims(self.queries, vectors)):
            best = scan.best[query]
            floor = best[-1][1] if len(best) >= self.keep else -np.inf
            new = [
                [found[i][0]["_id"], float(scores[i]), found[i][0]["_seq_no"], shard, found[i][1], hash_of(found[i][2])]
                for i in np.flatnonzero(scores > floor).tolist()
            ]
            if new:
                scan.best[query] = sorted([*best, *new], key=lambda each: -each[1])[: self.keep]


def maxsims(queries: Sequence[FloatArray], documents: Sequence[FloatArray]) -> FloatArray:
    """MaxSim of each query with each document, none of which is empty: (len(queries), len(documents)) float32."""
    stacked = np.concatenate(documents)
    starts = np.cumsum([0, *(len(document) for document in documents[:-1])])
    rows: list[FloatArray] = []
    step = max(1, _SIMILARITIES // len(stacked))
    with one_thread():
        for query in queries:
            total = np.zeros(len(documents), np.float32)
            for first in range(0, len(query), step):
                products = query[first : first + step] @ stacked.T
                total += np.maximum.reduceat(products, starts, axis=1).sum(axis=0)
            rows.append(total)
    return np.stack(rows)


def readable(spec: FieldSpec, blob: bytes | None) -> FloatArray | None:
    """A document's vectors; None where there are none, or they are damaged or of another dimension."""
    if blob is None:
        return None
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            vectors = decode_blob(blob, spec.codebook)
    except (BlobError, MismatchError):
        return None
    fits = vectors.ndim == 2 and vectors.shape[1] == spec.dim and bool(np.isfinite(vectors).all())
    return vectors if fits or not len(vectors) else None


def hash_of(blob: bytes) -> str:
    """By which it is told whether a document's vectors are what they were."""
    return hashlib.blake2b(blob, digest_size=8).hexdigest()
