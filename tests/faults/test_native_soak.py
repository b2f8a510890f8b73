"""The native plugin under a storm of changes: thousands of searches, none of which may fail or be wrong."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import pytest
import urllib3
from changing_index import MAPPINGS, Answer, Asked, Change, History, content
from footprint import heap_in_use
from node_under_test import needs_native
from opensearchpy import OpenSearch
from scale import SEED
from scale import STORM_SEARCHES as SEARCHES

pytestmark = [
    pytest.mark.integration,
    pytest.mark.fault("mixed"),
    pytest.mark.slow,
    needs_native,
]

DOCS = 80
SHARDS = 2
WRITERS = 2
SEARCHERS = 3
ALL, PAGE = 2 * DOCS, 7  # what a search asks for
GROWTH = 24 << 20  # bytes; what 2,000 searches would leave behind, were each one's tables forgotten, is a multiple

ASKED = [
    Asked(1, "tv", rescorer=True),
    Asked(2, "vectors", rescorer=True),
    Asked(3, "vectors", rescorer=True, weighted=True),
    Asked(4, "bits", rescorer=True, score="max"),
    Asked(5, "tv", rescorer=True, keep=9),
    Asked(6, "vectors", rescorer=True, keep=12),
    Asked(7, "tv", rescorer=False),
    Asked(8, "vectors", rescorer=False, group="g1"),
    Asked(9, "vectors", rescorer=False, score="max", minimum=0.4),
    Asked(10, "tv", rescorer=False, minimum=3.5, group="g2", weighted=True),
    Asked(11, "bits", rescorer=False, weighted=True),
]


@dataclass
class Soak:
    """The index, what was done to it, and what its searches met."""

    url: str
    client: OpenSearch
    index: str
    shards: dict[int, int] = field(default_factory=dict)  # of each document
    history: History = field(default_factory=History)
    damaged_at_least: int = 0
    damaged_at_most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    pool: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(maxsize=10, retries=False, timeout=60)
    )

    def request(self, method: str, path: str, body: str = "") -> urllib3.BaseHTTPResponse:
        headers = {"content-type": "application/json"}
        answer = self.pool.request(method, f"{self.url}{path}", body=body or None, headers=headers)
        assert answer.status in (200, 201), (path, answer.data[:2000])
        return answer

    def json(self, method: str, path: str, body: str = "") -> Any:
        return json.loads(self.request(method, path, body).data)

    def create(self) -> None:
        settings = {"number_of_shards": SHARDS, "number_of_replicas": 0, "refresh_interval": -1}
        self.json("PUT", f"/{self.index}", json.dumps({"settings": {"index": settings}, "mappings": MAPPINGS}))
        self.history.changes = {doc: [Change(0, False, 0.0, 0.0)] for doc in range(DOCS)}
        self.change([(doc, True) for doc in range(DOCS)])
        self.refresh()
        for shard in range(SHARDS):
            path = f"/{self.index}/_search?preference=_shards:{shard}&size={ALL}"
            self.shards |= {int(hit["_id"]): shard for hit in self.json("GET", path)["hits"]["hits"]}
        assert len(self.shards) == DOCS

    def change(self, changes: list[tuple[int, bool]]) -> None:
        """Write or delete these documents in one request. Nobody else changes them meanwhile."""
        lines, made = [], []
        for doc, present in changes:
            version = self.history.changes[doc][-1].version + 1
            action = {"_id": str(doc), "version": version, "version_type": "external"}
            lines.append(json.dumps({"index" if present else "delete": action}))
            if present:
                lines.append(content(doc, version).body)
            made.append(Change(version, present, time.monotonic()))
            self.history.changes[doc].append(made[-1])
        answer = self.json("POST", f"/{self.index}/_bulk", "\n".join(lines) + "\n")
        for change, item in zip(made, answer["items"], strict=True):
            (result,) = item.values()
            assert result["status"] in ((200, 201) if change.present else (200, 404)), result
            change.acknowledged = time.monotonic()

    def refresh(self) -> None:
        started = time.monotonic()
        assert self.json("POST", f"/{self.index}/_refresh")["_shards"]["failed"] == 0
        self.history.refreshed = started

    def search(self, asked: Asked, size: int, shard: int) -> None:
        """``shard``: the one to ask, where the oracle needs all documents to be of one."""
        path = f"/{self.index}/_search?allow_partial_search_results=false"
        docs = list(self.shards)
        if asked.keep:
            path += f"&preference=_shards:{shard}"
            docs, size = [doc for doc in docs if self.shards[doc] == shard], ALL
        refreshed = self.history.refreshed
        response = self.request("POST", path, asked.body(size))
        ended = time.monotonic()
        answer = json.loads(response.data)
        assert not answer["timed_out"]
        assert answer["_shards"]["failed"] == 0
        hits = [(int(hit["_id"]), hit["_version"], hit["_score"]) for hit in answer["hits"]["hits"]]
        met = Answer(asked, size, hits, refreshed, ended, "Warning" in response.headers).check(self.history, docs)
        with self.lock:
            self.damaged_at_least += met[0]
            self.damaged_at_most += met[1]

    def stats(self) -> dict[str, Any]:
        """The plugin's, of the only node."""
        (node,) = self.json("GET", "/_plugins/_multivector/stats")["nodes"].values()
        return dict(node)

    def writer(self, number: int, stop: threading.Event) -> None:
        rng = random.Random(f"{SEED} writer {number}")
        own = range(number, DOCS, WRITERS)
        while not stop.wait(rng.uniform(0, 0.02)):
            self.change([(doc, rng.random() < 0.7) for doc in rng.sample(own, rng.randrange(1, 9))])

    def refresher(self, stop: threading.Event) -> None:
        rng = random.Random(f"{SEED} refresher")
        while not stop.wait(rng.uniform(0, 0.1)):
            self.refresh()

    def merger(self, stop: threading.Event) -> None:
        rng = random.Random(f"{SEED} merger")
        while not stop.wait(rng.uniform(0, 0.5)):
            way = rng.choice(["_forcemerge?max_num_segments=1", "_forcemerge?only_expunge_deletes=true", "_flush"])
            assert self.json("POST", f"/{self.index}/{way}")["_shards"]["failed"] == 0
            mode = {"index.search.concurrent_segment_search.mode": rng.choice(["all", "none"])}
            self.json("PUT", f"/{self.index}/_settings", json.dumps(mode))

    def searcher(self, number: int, searches: int, stop: threading.Event) -> None:
        rng = random.Random(f"{SEED} searcher {number}")
        for asked in islice(cycle(ASKED), number, number + searches):
            if stop.is_set():
                return
            self.search(asked, rng.choice([ALL, PAGE]), rng.randrange(SHARDS))

    def storm(self, searches: int) -> None:
        """All at once, until so many searches are done or something is wrong."""
        stop = threading.Event()

        def watched(work: Callable[..., None], *arguments: Any) -> None:
            try:
                work(*arguments, stop)
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(WRITERS + SEARCHERS + 2) as threads:
            searching = [threads.submit(watched, self.searcher, i, searches // SEARCHERS) for i in range(SEARCHERS)]
            changing = [threads.submit(watched, self.writer, i) for i in range(WRITERS)]
            changing += [threads.submit(watched, work) for work in (self.refresher, self.merger)]
            try:
                for job in searching:
                    job.result()
            finally:
                stop.set()
            for job in changing:
                job.result()


@pytest.fixture
def soak(node_url: str, client: OpenSearch, index_name: str) -> Soak:
    return Soak(node_url, client, index_name)


def test_no_answer_is_wrong_and_nothing_is_left_behind(soak: Soak) -> None:
    before = soak.stats()
    soak.create()
    try:
        soak.storm(SEARCHES // 3)
        heap = heap_in_use(soak.client, soak.index)
        soak.storm(SEARCHES - SEARCHES // 3)
        at_rest(soak)
        grown = heap_in_use(soak.client, soak.index) - heap
        assert grown < GROWTH, f"{grown >> 20} MB more on the heap"

        damaged = soak.stats()["damaged"] - before["damaged"]
        assert 0 < soak.damaged_at_least <= damaged <= soak.damaged_at_most
        # Nothing changes any more: now it is known to the last one which damaged blobs a search meets. Which of two
        # documents with equal bits is kept is not: the last one kept always has its own score beside it.
        soak.refresh()
        for exact in (True, False):
            damaged = soak.stats()["damaged"]
            soak.damaged_at_least = soak.damaged_at_most = 0
            for asked in ASKED:
                for shard in range(SHARDS):
                    if exact == (asked.keep == 0):
                        soak.search(asked, ALL, shard)
            met = soak.stats()["damaged"] - damaged
            assert soak.damaged_at_least <= met <= soak.damaged_at_most
            assert not exact or 0 < soak.damaged_at_least == soak.damaged_at_most
    except BaseException as error:
        error.add_note(f"OSMV_TEST_SEED={SEED}")
        raise


def at_rest(soak: Soak) -> None:
    """No search runs, and none has left memory accounted for; codebooks are kept."""
    give_up = time.monotonic() + 30
    while True:
        (node,) = soak.json("GET", "/_nodes/stats/thread_pool")["nodes"].values()
        busy = {name: node["thread_pool"][name]["active"] for name in ("search", "index_searcher")}
        tasks = soak.json("GET", "/_tasks?actions=*search*")["nodes"]
        stats = soak.stats()
        used = stats["breaker"]["estimated_size_in_bytes"] - stats["codebooks"]["size_in_bytes"]
        if not any(busy.values()) and not tasks and used == 0:
            return
        assert time.monotonic() < give_up, (busy, tasks, used)
        time.sleep(0.1)
