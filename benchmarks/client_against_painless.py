"""Rerank `client` (int8 and f32 blobs) against OpenSearch's own `lateInteractionScore`, side by side on one node.

    python benchmarks/client_against_painless.py [--documents 1000] [--tokens 200] [--dim 128] [--rounds 5]

Random unit vectors; one shard; the first stage is the same k-NN search in all cases, and its time is part of each.
Parity first: the rankings over f32 must be the same, and the scores within 1e-4. Then the variants take turns, so that
the machine's noise falls on all of them; medians and the ratio to painless are printed.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from opensearch_multivector.indexing import index_documents
from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.plugin.sub_fields import Dense, Floats
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.searcher import Searcher


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def fill(client, index: str, codec: str, floats: bool, documents: list[np.ndarray]) -> None:
    client.indices.delete(index=index, params={"ignore_unavailable": "true"})
    mappings = [{"id": str(i), "text": "-", "vectors": vectors} for i, vectors in enumerate(documents)]
    summary = index_documents(
        client, index, mappings, encoder=None, codec=codec, sub_fields=(Dense(), Floats()) if floats else (Dense(),)
    )
    assert summary.indexed == len(documents), summary.rejections
    client.indices.forcemerge(index=index, params={"max_num_segments": "1"})
    client.indices.refresh(index=index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--query-tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    shape = (arguments.tokens, arguments.dim)
    documents = [unit(rng.normal(size=shape) + 0.2) for _ in range(arguments.documents)]
    vectors = unit(rng.normal(size=(arguments.query_tokens, arguments.dim)) + 0.2)
    query = EncodedQuery(vectors=vectors, pooled=unit(vectors.mean(axis=0)))

    client = connect(timeout=300)
    indices = {"f32": "osmv-bench-f32", "int8": "osmv-bench-int8"}
    try:
        fill(client, indices["f32"], "f32", True, documents)
        fill(client, indices["int8"], "int8", False, documents)
        searchers = {codec: Searcher(client, index) for codec, index in indices.items()}
        for window in (100, arguments.documents):
            variants = {
                "painless": (searchers["f32"], "painless"),
                "client f32": (searchers["f32"], "client"),
                "client int8": (searchers["int8"], "client"),
                "first stage alone": (searchers["int8"], None),
            }

            def run(name: str, window: int = window, variants: dict = variants):
                searcher, rerank = variants[name]
                return searcher.search(query, rerank=rerank, window_size=window, source=False)

            painless, exact = run("painless"), run("client f32")
            assert [hit.doc_id for hit in painless.hits] == [hit.doc_id for hit in exact.hits], "rankings differ"
            for one, other in zip(painless.hits, exact.hits, strict=True):
                assert abs(one.score - other.score) <= 1e-4 * abs(other.score), "scores differ"
            times: dict[str, list[float]] = {name: [] for name in variants}
            for _ in range(arguments.rounds):
                for name in variants:
                    start = time.perf_counter()
                    run(name)
                    times[name].append((time.perf_counter() - start) * 1e3)
            base = statistics.median(times["painless"])
            print(f"\nrerank of {window} documents of {shape[0]} x {shape[1]}, {arguments.query_tokens} query tokens")
            for name, values in times.items():
                median = statistics.median(values)
                print(f"  {name:<18} median {median:8.1f} ms  min {min(values):8.1f}  {base / median:6.1f}x")
    finally:
        for index in indices.values():
            client.indices.delete(index=index, params={"ignore_unavailable": "true"})


if __name__ == "__main__":
    main()
