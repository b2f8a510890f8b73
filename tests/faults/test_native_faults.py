"""The native plugin when searches are given up, run out of time, or the node is killed."""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from fault_table import FaultRow
from node_under_test import needs_native
from opensearchpy import OpenSearch, TransportError
from scale import SEED, long_only

from opensearch_multivector.encoding.codecs import decode_blob, encode_blob
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.plugin.node import NodeStatus, node_status

pytestmark = [
    pytest.mark.integration,
    needs_native,
]

DIM = 64
DOCS = 300
PASSES = 24  # over all documents: seconds of work for one search, of which a single pass has tenths


def unit(seed: int, count: int, dim: int = DIM) -> FloatArray:
    vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def base64_of(vectors: FloatArray, codec: str) -> str:
    return base64.b64encode(encode_blob(vectors, codec)).decode()


def decoded(vectors: FloatArray) -> FloatArray:
    """What is left of vectors in int8."""
    return decode_blob(encode_blob(vectors, "int8"))


class Long:
    """Searches that take long, over documents that are all the same."""

    document = unit(0, 500)
    query = unit(1, 1000)
    score = 1000 + maxsim(decoded(query), decoded(document))

    def __init__(self, client: OpenSearch, url: str, index: str) -> None:
        self.client, self.url, self.index = client, url, index
        field = {"type": "token_vectors", "dimension": DIM}
        settings = {"number_of_shards": 1, "number_of_replicas": 0}
        client.indices.create(index=index, body={"settings": settings, "mappings": {"properties": {"tv": field}}})
        lines = ['{"index": {}}', json.dumps({"tv": base64_of(self.document, "int8")})] * DOCS
        answer = client.bulk(body="\n".join(lines) + "\n", index=index, params={"refresh": "true"})
        assert not answer["errors"]

    def body(self, kind: str, passes: int, **options: Any) -> str:
        """``kind``: a query or rescorers."""
        maxsim = {"field": "tv", "query_vectors": base64_of(self.query, "int8")}
        if kind == "query":
            # Equal clauses would be made one.
            clauses = [{"maxsim": {**maxsim, "min_score": -1000 - i}} for i in range(passes)]
            search: dict[str, Any] = {"query": {"bool": {"should": clauses}}}
        else:
            search = {"query": {"match_all": {}}, "rescore": [{"window_size": DOCS, "maxsim": maxsim}] * passes}
        return json.dumps({"size": DOCS, "_source": False, **search, **options})

    def scored(self) -> int:
        """Documents that ended searches have scored since the node's start."""
        answer = self.client.transport.perform_request("GET", "/_plugins/_multivector/stats")
        return sum(node["documents"] for node in answer["nodes"].values())

    def running(self) -> int:
        """How many searches are."""
        tasks = self.client.tasks.list(params={"actions": "indices:data/read/search"})
        return sum(len(node["tasks"]) for node in tasks["nodes"].values())

    def wait_for(self, running: int) -> None:
        give_up = time.monotonic() + 60
        while self.running() != running:
            assert time.monotonic() < give_up, f"{self.running()} searches run, not {running}"
            time.sleep(0.02)

    def at_rest(self) -> None:
        """Nothing runs or is accounted for but codebooks that are kept, and the next search is answered in full."""
        self.wait_for(0)
        answer = self.client.transport.perform_request("GET", "/_plugins/_multivector/stats")
        for node in answer["nodes"].values():
            assert node["breaker"]["estimated_size_in_bytes"] == node["codebooks"]["size_in_bytes"]
        hits = self.client.search(index=self.index, body=self.body("query", 1))["hits"]["hits"]
        assert [hit["_score"] for hit in hits] == pytest.approx([self.score] * DOCS, rel=1e-5)


@pytest.fixture
def long(client: OpenSearch, node_url: str, index_name: str) -> Long:
    return Long(client, node_url, index_name)


@pytest.mark.parametrize("kind", ["query", "rescore"])
def test_searches_end_when_their_clients_are_gone(long: Long, kind: str) -> None:
    before = long.scored()
    node = urlsplit(long.url)
    connections = [http.client.HTTPConnection(node.hostname or "", node.port, timeout=60) for _ in range(4)]
    for connection in connections:
        headers = {"content-type": "application/json"}
        connection.request("POST", f"/{long.index}/_search", long.body(kind, PASSES), headers)
    long.wait_for(len(connections))
    for connection in connections:
        connection.close()
    long.wait_for(0)
    assert long.scored() - before < len(connections) * DOCS * PASSES / 2
    long.at_rest()


def test_searches_out_of_time_answer_with_what_they_have(long: Long) -> None:
    def search(kind: str) -> None:
        body = long.body(kind, 1, timeout="20ms")
        answer = long.client.search(index=long.index, body=body)
        assert answer["timed_out"]
        scores = [hit["_score"] for hit in answer["hits"]["hits"]]
        whole = [score for score in scores if score]
        assert len(whole) < DOCS
        assert whole == pytest.approx([long.score] * len(whole), rel=1e-5)
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == DOCS or kind == "query"

    with ThreadPoolExecutor(8) as threads:
        for job in [threads.submit(search, kind) for kind in ("query", "rescore") * 40]:
            job.result()
    long.at_rest()


@pytest.mark.slow
@pytest.mark.fault("nodes")
@long_only
def test_acknowledged_vectors_outlive_a_killed_node(
    start_killable: Callable[[], NodeStatus], fault_row: FaultRow
) -> None:
    """Killed in the midst of bulk requests, refreshes and flushes, and started again over what it left."""
    status = start_killable()
    with OpenSearch(status.url, timeout=60, max_retries=0) as client:
        field = {"type": "token_vectors", "dimension": DIM}
        settings = {"number_of_shards": 2, "number_of_replicas": 0, "refresh_interval": "50ms"}
        body = {"settings": settings, "mappings": {"properties": {"tv": field}}}
        client.indices.create(index="killed", body=body)
        acknowledged = write_until_killed(client, status.pid)
    while node_status(status.name) is not None:  # a process that is about to end would be taken for the node
        time.sleep(0.05)
    with OpenSearch(start_killable().url, timeout=60) as client:
        client.cluster.health(index="killed", params={"wait_for_status": "green"})
        assert_all_there(client, acknowledged)
        fault_row.counts.update(kills=1, documents=len(acknowledged))


def tokens_of(doc: int) -> FloatArray:
    return unit(doc, 1 + doc % 20)


def write_until_killed(client: OpenSearch, pid: int) -> set[int]:
    """What the node said that it has."""
    acknowledged: set[int] = set()
    moments = random.Random(SEED)
    numbers = itertools.count()
    goal = moments.randrange(200, 1000)

    def write() -> None:
        with contextlib.suppress(TransportError):
            while True:
                docs = [next(numbers) for _ in range(7)]
                lines = [
                    line
                    for doc in docs
                    for line in (json.dumps({"index": {"_id": str(doc)}}), json.dumps({"tv": tokens_of(doc).tolist()}))
                ]
                for item in client.bulk(body="\n".join(lines) + "\n", index="killed")["items"]:
                    if item["index"]["status"] == 201:
                        acknowledged.add(int(item["index"]["_id"]))
                if moments.random() < 0.1:
                    client.indices.flush(index="killed")

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    while len(acknowledged) < goal and any(writer.is_alive() for writer in writers):
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    for writer in writers:
        writer.join()
    assert len(acknowledged) >= goal, "the node refused documents"
    return acknowledged


def assert_all_there(client: OpenSearch, acknowledged: set[int]) -> None:
    """Every acknowledged document is found with its score; so is whatever else got in."""
    client.indices.refresh(index="killed")
    query = unit(7, 5)
    maxsim_query = {"maxsim": {"field": "tv", "query_vectors": query.tolist()}}
    hits = client.search(index="killed", body={"query": maxsim_query, "size": 10_000, "_source": False})["hits"]["hits"]
    found = {int(hit["_id"]): hit["_score"] for hit in hits}
    assert acknowledged <= found.keys(), f"OSMV_TEST_SEED={SEED}"
    for doc, score in found.items():
        raw = maxsim(query, decoded(tokens_of(doc)))
        assert score == pytest.approx(5 + raw if raw >= 0 else 25 / (5 - raw), abs=1e-4), doc
