"""What metrics cost a search: the same searches with and without `SearchMetrics`, in pairs.

    python benchmarks/metrics_cost.py [--pairs 2000]

On the node that `osmv node start` runs (or OSMV_URL), over 2,000 documents of 30 random vectors: the cheapest search
there is (one request, no rerank, no sources), and one reranked here. Of each pair either comes first in turn, and both
have to find the same. Printed: the median of searches without metrics, the median of the pairs' differences with a 95%
interval (bootstrap), and how long the observer itself took, which no noise of the machine hides; both as a share. Exit
code 1 where the observer takes 2% or more.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry

from opensearch_multivector.indexing import index_documents
from opensearch_multivector.ops.metrics.searching import SearchMetrics
from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.queries.breaker import Breaker
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.observer import Place
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.searcher import Searcher

_INDEX = "osmv-bench-metrics"
_DOCUMENTS, _TOKENS, _DIM = 2_000, 30, 64
_WARM = 200
_LIMIT = 0.02
_WAYS: dict[str, dict[str, Any]] = {
    "dense, no rerank": {"rerank": None, "source": False},
    "dense, 100 reranked here": {"rerank": "client"},
}


class Timed:
    """`SearchMetrics`, and how long it took each time."""

    def __init__(self) -> None:
        self.metrics = SearchMetrics(CollectorRegistry())
        self.seconds: list[float] = []

    def watch(self, place: Place, breaker: Breaker) -> None:
        self.metrics.watch(place, breaker)

    def searched(self, place: Place, request: SearchRequest, result: SearchResult) -> None:
        start = time.perf_counter()
        self.metrics.searched(place, request, result)
        self.seconds.append(time.perf_counter() - start)

    def failed(self, place: Place, request: SearchRequest, error: BaseException, seconds: float) -> None:
        raise error


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def queries(count: int) -> list[EncodedQuery]:
    vectors = unit(np.random.default_rng(2).normal(size=(count, 8, _DIM)))
    return [EncodedQuery(vectors=each, pooled=unit(each.mean(axis=0))) for each in vectors]


def measure(client: Any, options: dict[str, Any], pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of each pair, without metrics and with; seconds of the observer alone."""
    timed = Timed()
    searchers = Searcher(client, _INDEX, **options), Searcher(client, _INDEX, observer=timed, **options)
    asked = queries(100)
    seconds = np.empty((pairs + _WARM, 2))
    for number in range(len(seconds)):
        found: dict[int, SearchResult] = {}
        for which in (0, 1) if number % 2 else (1, 0):
            start = time.perf_counter()
            found[which] = searchers[which].search(asked[number % len(asked)])
            seconds[number, which] = time.perf_counter() - start
        assert found[0].hits == found[1].hits, "metrics changed a result"
    return seconds[_WARM:], np.array(timed.seconds[_WARM:])


def interval(differences: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    medians = [np.median(rng.choice(differences, len(differences))) for _ in range(1_000)]
    return np.percentile(medians, [2.5, 97.5])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2_000)
    arguments = parser.parse_args()
    client = connect()
    rng = np.random.default_rng(1)
    documents = [
        {"id": f"d{number}", "text": f"document {number}", "vectors": unit(rng.normal(size=(_TOKENS, _DIM))).tolist()}
        for number in range(_DOCUMENTS)
    ]
    client.indices.delete(index=_INDEX, params={"ignore_unavailable": "true"})
    worst = 0.0
    try:
        index_documents(client, _INDEX, documents, encoder=None, restart=True)
        client.indices.forcemerge(index=_INDEX, params={"max_num_segments": "1"})
        for way, options in _WAYS.items():
            seconds, told = measure(client, options, arguments.pairs)
            plain = np.median(seconds[:, 0])
            differences = seconds[:, 1] - seconds[:, 0]
            low, high = interval(differences) / plain
            own = np.median(told) / plain
            worst = max(worst, own)
            print(
                f"{way}: {plain * 1e3:.2f} ms without metrics (p50); with them {np.median(differences) * 1e6:+.0f} us, "
                f"{np.median(differences) / plain:+.2%} [{low:+.2%}, {high:+.2%}]; the observer alone "
                f"{np.median(told) * 1e6:.0f} us (p99 {np.percentile(told, 99) * 1e6:.0f}), {own:.2%}"
            )
    finally:
        client.indices.delete(index=_INDEX, params={"ignore_unavailable": "true"})
    sys.exit(1 if worst >= _LIMIT else 0)


if __name__ == "__main__":
    main()
