"""Whole rescore requests: the native plugin against OpenSearch's `lateInteractionScore`, on one node, in turns.

    python benchmarks/native.py speed      1,000 documents of 200 x 128; client beside native, bytes over the wire
    python benchmarks/native.py speed --documents 100 --tokens 1030     pages of ColPali's shape
    python benchmarks/native.py shards     1, 2, 4 shards on one node, and 3 nodes
    python benchmarks/native.py heap       windows of 100 to 10,000
    python benchmarks/native.py cold       blobs that are not in memory (as root: it empties the page cache)

Random unit vectors, 32 query tokens; every request is `match_all` and a rescore of all documents, ten hits, no
`_source`. Parity is checked first. Medians (p50) and 95th percentiles of the time that the client sees; another job on
the machine shows in the 95th.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pybase64
from local_cluster import cluster
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.plugin.sub_fields import Bits, Dense, Floats
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.searcher import Searcher

PAINLESS = "lateInteractionScore(params.query_vectors, params.field, params._source, 'innerproduct')"
PREFIX = "osmv-bench-native"


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def texts(count: int, tokens: int, dim: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    vectors = [unit(rng.normal(size=(tokens, dim)) + 0.1) for _ in range(count)]
    return [{"id": str(i), "text": "-", "vectors": v} for i, v in enumerate(vectors)]


def query_vectors(dim: int, count: int = 32) -> np.ndarray:
    return unit(np.random.default_rng(1).normal(size=(count, dim)) + 0.1)


def fill(
    client: OpenSearch, name: str, documents: list[dict[str, Any]], codec: str, *sub_fields: Any, **body: Any
) -> str:
    index = f"{PREFIX}-{name}"
    client.indices.delete(index=index, params={"ignore_unavailable": "true"})
    summary = index_documents(client, index, documents, encoder=None, codec=codec, sub_fields=sub_fields, **body)
    assert summary.indexed == len(documents), summary.rejections
    client.indices.forcemerge(index=index, params={"max_num_segments": "1"})
    client.indices.refresh(index=index)
    return index


def native(query: np.ndarray, window: int, keep: int = 0) -> dict[str, Any]:
    encoded = pybase64.b64encode(encode_blob(query, "f32")).decode()
    first = {"first": {"field": "mv.bits", "keep": keep}} if keep else {}
    return {"window_size": window, "maxsim": {"field": "mv.vectors", "query_vectors": encoded, **first}}


def painless(query: np.ndarray, window: int) -> dict[str, Any]:
    script = {"source": PAINLESS, "params": {"query_vectors": query.tolist(), "field": "mv.floats"}}
    scored = {"script_score": {"query": {"match_all": {}}, "script": script}}
    return {
        "window_size": window,
        "query": {"rescore_query": scored, "query_weight": 0, "rescore_query_weight": 1},
    }


def search(client: OpenSearch, index: str, rescore: dict[str, Any] | None, size: int = 10) -> dict[str, Any]:
    body: dict[str, Any] = {"query": {"match_all": {}}, "size": size, "_source": False}
    if rescore:
        body["rescore"] = rescore
    answer: dict[str, Any] = client.search(index=index, body=body, params={"request_cache": "false"})
    assert not answer["timed_out"]
    assert answer["_shards"]["failed"] == 0
    return answer


def ranking(answer: dict[str, Any]) -> list[tuple[str, float]]:
    return [(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]]


def same(one: list[tuple[str, float]], other: list[tuple[str, float]], allowed: float) -> None:
    """The same documents with the same scores; the order may differ where scores do by less than is allowed."""
    theirs = dict(other)
    for doc_id, score in one:
        assert abs(score - theirs[doc_id]) <= allowed, f"document {doc_id}: {score} and {theirs[doc_id]}"


def timed(variants: dict[str, Callable[[], Any]], rounds: int, warm: int = 20) -> dict[str, list[float]]:
    """Milliseconds of each variant. They take turns, so that the machine's noise falls on all of them."""
    for run in variants.values():
        for _ in range(warm if run.__name__ != "slow" else 2):
            run()
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            for _ in range(1 if run.__name__ == "slow" else 5):
                start = time.perf_counter()
                run()
                times[name].append((time.perf_counter() - start) * 1e3)
    return times


class Wire:
    """Counts the bytes of requests and answers of a client."""

    def __init__(self, client: OpenSearch) -> None:
        self.bytes = 0
        pool = client.transport.connection_pool
        for connection in pool.connections:
            original = connection.perform_request

            def counted(*arguments: Any, _original: Any = original, **options: Any) -> Any:
                status, headers, data = _original(*arguments, **options)
                body = arguments[3] if len(arguments) > 3 else options.get("body")
                self.bytes += len(data.encode()) + (len(body) if body else 0)
                return status, headers, data

            connection.perform_request = counted

    def of(self, run: Callable[[], Any]) -> int:
        before = self.bytes
        run()
        return self.bytes - before


def speed(client: OpenSearch, arguments: argparse.Namespace) -> None:
    count, tokens, dim = arguments.documents, arguments.tokens, arguments.dim
    documents, query = texts(count, tokens, dim), query_vectors(dim)
    floats = fill(client, "f32", documents, "f32", Dense(), Floats())
    small = fill(client, "int8", documents, "int8", Dense(), Bits())
    exact = {d["id"]: float((query @ d["vectors"].T).max(axis=1).sum()) + len(query) for d in documents}
    expected = sorted(exact.items(), key=lambda item: -item[1])
    same(ranking(search(client, floats, painless(query, count), size=count)), expected, 1e-3)
    same(ranking(search(client, floats, native(query, count), size=count)), expected, 1e-3)
    same(ranking(search(client, small, native(query, count), size=count)), expected, 0.25)
    keep = max(10, count // 10)
    two = ranking(search(client, small, native(query, count, keep)))
    same(two, expected, 0.25)

    encoded = EncodedQuery(vectors=query, pooled=unit(query.mean(axis=0)))
    searcher = Searcher(client, small)
    options = {"window_size": count, "source": False}

    def slow() -> Any:
        return search(client, floats, painless(query, count))

    variants: dict[str, Callable[[], Any]] = {
        "lateInteractionScore": slow,
        "native f32": lambda: search(client, floats, native(query, count)),
        "native int8": lambda: search(client, small, native(query, count)),
        f"native bit, then int8 of {keep}": lambda: search(client, small, native(query, count, keep)),
        "match_all alone": lambda: search(client, small, None),
        "dense alone": lambda: searcher.search(encoded, rerank=None, **options),
        "dense, then client int8": lambda: searcher.search(encoded, rerank="client", **options),
        "dense, then native int8": lambda: searcher.search(encoded, rerank="native", **options),
    }
    times = timed(variants, arguments.rounds)
    wire = Wire(client)
    base = statistics.median(times["lateInteractionScore"])
    print(f"\n{count:,} documents of {tokens} x {dim}, {len(query)} query tokens, one shard")
    print("| request | p50 | p95 | faster | bytes over the wire |\n|---|---|---|---|---|")
    for name, values in times.items():
        median, high = statistics.median(values), float(np.percentile(values, 95))
        ratio = f"{base / median:.0f} x" if name.startswith("native") else ""
        print(f"| {name} | {median:.1f} ms | {high:.1f} ms | {ratio} | {wire.of(variants[name]):,} |")


def spent(client: OpenSearch) -> tuple[int, int]:
    """Documents that the plugin has scored, and milliseconds of processor time that the nodes took for everything."""
    time.sleep(1.1)  # a node looks at its clock once a second
    nodes = client.transport.perform_request("GET", "/_plugins/_multivector/stats")["nodes"].values()
    processes = client.nodes.stats(metric="process")["nodes"].values()
    return sum(node["documents"] for node in nodes), sum(
        node["process"]["cpu"]["total_in_millis"] for node in processes
    )


def shards(client: OpenSearch, arguments: argparse.Namespace) -> None:
    documents, query = texts(4 * arguments.documents, arguments.tokens, arguments.dim), query_vectors(arguments.dim)
    print("| shards | nodes | took, p50 | processor time, a document |\n|---|---|---|---|")
    first: list[tuple[str, float]] = []
    for count in (1, 2, 4):
        first = first or one_layout(client, documents, query, count, arguments.rounds, [])
        if count > 1:
            one_layout(client, documents, query, count, arguments.rounds, first)
    with cluster(3, "700m") as three:
        one_layout(three, documents, query, 3, arguments.rounds, first)


def one_layout(
    client: OpenSearch,
    documents: list[dict[str, Any]],
    query: np.ndarray,
    count: int,
    rounds: int,
    expected: list[tuple[str, float]],
) -> list[tuple[str, float]]:
    index = fill(client, f"shards-{count}", documents, "int8", Dense(), shards=count)
    rescore = native(query, len(documents))
    found = ranking(search(client, index, rescore, size=100))
    assert not expected or found == expected, "rankings differ"
    for _ in range(200):
        search(client, index, rescore)
    scored, cpu = spent(client)
    started = time.perf_counter()
    took = [search(client, index, rescore)["took"] for _ in range(10 * rounds)]
    lasted = time.perf_counter() - started
    scored, cpu = (after - before for after, before in zip(spent(client), (scored, cpu), strict=True))
    # What a node takes for itself is not the documents' cost, and three take three times as much.
    _, before = spent(client)
    time.sleep(10)
    cpu -= int((spent(client)[1] - before) / 11.1 * lasted)
    nodes = client.cluster.health()["number_of_nodes"]
    print(f"| {count} | {nodes} | {statistics.median(took):.0f} ms | {cpu / scored * 1e3:.1f} us |", flush=True)
    client.indices.delete(index=index)
    return found


def heap(client: OpenSearch, arguments: argparse.Namespace) -> None:
    index = fill(client, "heap", texts(10_000, 100, arguments.dim), "int8", Dense())
    query = query_vectors(arguments.dim)
    path = "nodes.*.jvm.mem.heap_used_in_bytes,nodes.*.jvm.gc.collectors.young.collection_count"

    def state() -> tuple[int, int]:
        time.sleep(1.1)  # the node looks at its heap once a second
        (node,) = client.nodes.stats(metric="jvm", params={"filter_path": path})["nodes"].values()
        jvm = node["jvm"]
        return jvm["mem"]["heap_used_in_bytes"], jvm["gc"]["collectors"]["young"]["collection_count"]

    print("| window | bytes of blobs read | heap allocated by a request, median |\n|---|---|---|")
    for window in (100, 1_000, 10_000):
        rescore = native(query, window)
        for _ in range(30):
            search(client, index, rescore)
        grown: list[float] = []
        while len(grown) < 5:
            before, collections = state()
            for _ in range(50):
                search(client, index, rescore)
            after, collected = state()
            if collected == collections:
                grown.append((after - before) / 50)
        print(f"| {window:,} | {window * 100 * (arguments.dim + 8):,} | {statistics.median(grown):,.0f} |", flush=True)


def cold(client: OpenSearch, arguments: argparse.Namespace) -> None:
    """300 candidates, each time others, strewn over the index."""
    if os.geteuid() != 0:
        raise SystemExit("only root can empty the page cache")
    count, window = 8 * arguments.documents, 300
    index = fill(client, "cold", texts(count, arguments.tokens, arguments.dim), "int8", Dense())
    client.indices.flush(index=index)
    query = query_vectors(arguments.dim)
    maxsim = native(query, window)["maxsim"]
    variants = {
        "rescorer (prefetches)": {"maxsim": maxsim},
        "query in rescore (does not)": {"query": {"rescore_query": {"maxsim": maxsim}, "query_weight": 0}},
    }

    def took(rescore: dict[str, Any], candidates: list[str]) -> float:
        body = {
            "query": {"ids": {"values": candidates}},
            "rescore": {"window_size": window, **rescore},
            "_source": False,
        }
        return float(client.search(index=index, body=body)["took"])

    rng = np.random.default_rng(2)
    strewn = [rng.choice(count, size=window, replace=False).astype(str).tolist() for _ in range(arguments.rounds)]
    for rescore in variants.values():
        for _ in range(10):
            for candidates in strewn:
                took(rescore, candidates)
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in variants}
    for candidates in strewn:
        for name, rescore in variants.items():
            # Of an open index the pages that were read stay in memory: they are mapped.
            client.indices.close(index=index)
            os.sync()
            Path("/proc/sys/vm/drop_caches").write_text("1")
            client.indices.open(index=index)
            client.cluster.health(index=index, params={"wait_for_status": "green"})
            took(rescore, ["none"])
            for values in times[name]:
                values.append(took(rescore, candidates))
    print("| rescore of 300 | took cold, p50 | p95 | took warm, p50 |\n|---|---|---|---|")
    for name, (first, second) in times.items():
        high = float(np.percentile(first, 95))
        print(f"| {name} | {statistics.median(first):.0f} ms | {high:.0f} ms | {statistics.median(second):.0f} ms |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("speed", "shards", "heap", "cold"))
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    client = connect(timeout=300)
    try:
        {"speed": speed, "shards": shards, "heap": heap, "cold": cold}[arguments.part](client, arguments)
    finally:
        client.indices.delete(index=f"{PREFIX}-*", params={"ignore_unavailable": "true"})


if __name__ == "__main__":
    main()
