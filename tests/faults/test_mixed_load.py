"""Everything at once for half an hour (some seconds in the short form): no answer may be wrong, nothing may grow.

Users write, update and delete in two indices, one attached in place and one with a sidecar, each with a follower; a
third is indexed anew over and over. They are searched one by one, many at once and from an event loop, with and without
filters.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from attached_texts import WordEncoder, attach, filler
from fault_table import FaultRow
from footprint import MB, Watch
from node_under_test import NATIVE
from opensearchpy import OpenSearch
from scale import LONG, MIXED_SECONDS, SEED, scale
from seen_texts import GROUPS, QUERIES, Index, body

from opensearch_multivector.indexing import index_documents
from opensearch_multivector.indexing.backfill import status_of
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, remove_attachment
from opensearch_multivector.plugin.connection import connect_async
from opensearch_multivector.plugin.sub_fields import Slim
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.fault("mixed")]

DOCS = 150
WRITES_PER_SECOND = 25  # in each of the two
SEARCH_PAUSE = 0.05
RERANKS = ["client", *(["native"] if NATIVE else [])]
# In the short form everything is still getting warm.
RSS_GROWTH = scale(200, 48) * MB
HEAP_GROWTH = scale(80, 32) * MB


@dataclass
class Load:
    """The three indices, what was done, and the first thing that went wrong."""

    url: str
    client: OpenSearch
    in_place: Index
    beside: Index
    anew: Index
    done: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self.done[what] += number

    def users(self, index: Index, number: int) -> None:
        rng = random.Random(f"{SEED} users {number}")
        versions = Counter[int]()
        present: set[int] = set()
        due = time.monotonic()
        while not self.stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / WRITES_PER_SECOND, time.monotonic() - 1)
            doc = rng.randrange(DOCS)
            way = rng.choices(["write", "update", "delete"], [5, 5, 1])[0] if doc in present else "write"
            versions[doc] += 1
            self.write(index, doc, versions[doc], way)
            (present.discard if way == "delete" else present.add)(doc)
            self.count("users' writes")

    def write(self, index: Index, doc: int, version: int, way: str) -> None:
        place: dict[str, Any] = {"index": index.name, "id": str(doc)}
        if way == "delete":
            index.write([doc], None, lambda: self.client.delete(**place))
        elif way == "update":
            # As any application's, it may meet another's write, the follower's, and is repeated.
            changed = {"doc": body(doc, version)}
            again = {"retry_on_conflict": 20}
            index.write([doc], version, lambda: self.client.update(**place, body=changed, params=again))
        else:
            index.write([doc], version, lambda: self.client.index(**place, body=body(doc, version)))

    def follower(self, index: Index) -> None:
        running = filler(self.client, index.name)
        while not self.stop.is_set():
            index.fill(running.round)
            self.count("rounds of filling")

    def indexer(self) -> None:
        version = 1
        while not self.stop.is_set():
            version += 1
            self.index(version)
            self.stop.wait(0.5)

    def index(self, version: int) -> None:
        """What `osmv index` does."""
        rows = [{"id": str(doc), **body(doc, version)} for doc in range(DOCS)]
        encoder = WordEncoder()

        def send() -> None:
            summary = index_documents(
                self.client,
                self.anew.name,
                rows,
                encoder=encoder,
                term_encoder=encoder,
                codec="f32",
                sub_fields=[Slim()],
            )
            assert summary.indexed == DOCS

        self.anew.write(range(DOCS), version, send)
        self.anew.fill(lambda: self.client.indices.refresh(index=self.anew.name))
        self.count("documents indexed", DOCS)

    def asked(self, rng: random.Random, index: Index) -> tuple[str | None, dict[str, Any]]:
        group = rng.choice([None, *GROUPS]) if index is not self.anew else None
        options: dict[str, Any] = {"first_stage": "slim", "rerank": rng.choice(RERANKS), "window_size": 2 * DOCS}
        if group:
            options["filter"] = {"term": {"group": group}}
        return group, options | {"size": rng.choice([10, 2 * DOCS])}

    def searcher(self, index: Index, number: int) -> None:
        rng = random.Random(f"{SEED} searcher {number}")
        encoder = WordEncoder()
        with OpenSearch(self.url, timeout=60) as client:
            searcher = Searcher(client, index.name, encoder=encoder, term_encoder=encoder)
            while not self.stop.wait(SEARCH_PAUSE):
                queries = rng.sample(QUERIES, rng.choice([1, 1, 1, 6]))
                group, options = self.asked(rng, index)
                started = time.monotonic()
                if len(queries) == 1:
                    results = [searcher.search(queries[0], **options)]
                else:
                    results = searcher.search_many(queries, **options)
                self.check(index, queries, group, results, options["size"], started)

    def event_loop(self) -> None:
        asyncio.run(self.searches_side_by_side())

    async def searches_side_by_side(self) -> None:
        rng = random.Random(f"{SEED} event loop")
        encoder = WordEncoder()

        async def one(searcher: AsyncSearcher, index: Index) -> None:
            query = rng.choice(QUERIES)
            group, options = self.asked(rng, index)
            started = time.monotonic()
            result = await searcher.search(query, **options)
            self.check(index, [query], group, [result], options["size"], started)

        async with connect_async(self.url, timeout=60) as client:
            indices = (self.in_place, self.beside, self.anew)
            searchers = [
                await AsyncSearcher.open(client, index.name, encoder=encoder, term_encoder=encoder) for index in indices
            ]
            while not self.stop.is_set():
                await asyncio.gather(*(one(*pair) for pair in zip(searchers, indices, strict=True)))
                await asyncio.sleep(SEARCH_PAUSE)

    def check(
        self,
        index: Index,
        queries: list[str],
        group: str | None,
        results: list[SearchResult],
        size: int,
        started: float,
    ) -> None:
        ended = time.monotonic()
        for query, result in zip(queries, results, strict=True):
            certain = index.check(query, group, result, size, started, ended)
            self.count("searches")
            self.count("hits", len(result.hits))
            self.count("hits that had to be", certain)

    def run(self, seconds: float) -> None:
        """All at once, until the time is over or something is wrong."""

        def watched(work: Callable[..., None], *arguments: Any) -> None:
            try:
                work(*arguments)
            except BaseException:
                self.stop.set()
                raise

        work = [
            (self.users, self.in_place, 0),
            (self.users, self.beside, 1),
            (self.follower, self.in_place),
            (self.follower, self.beside),
            (self.indexer,),
            (self.searcher, self.in_place, 0),
            (self.searcher, self.beside, 1),
            (self.searcher, self.anew, 2),
            (self.event_loop,),
        ]
        with ThreadPoolExecutor(len(work)) as threads:
            jobs = [threads.submit(watched, *each) for each in work]
            self.stop.wait(seconds)
            self.stop.set()
            for job in jobs:
                job.result()


@pytest.fixture
def load(node_url: str, client: OpenSearch, index_name: str) -> Iterator[Load]:
    names = [f"{index_name}-{part}" for part in ("in-place", "beside", "anew")]
    made = Load(node_url, client, *(Index(name, DOCS) for name in names))
    properties = {"text": {"type": "text"}, "group": {"type": "keyword"}, "price": {"type": "integer"}}
    settings = {"number_of_shards": 2, "number_of_replicas": 0}
    targets = []
    for index, mode in ((made.in_place, IN_PLACE), (made.beside, SIDECAR)):
        client.indices.create(index=index.name, body={"settings": settings, "mappings": {"properties": properties}})
        targets.append(attach(client, index.name, mode, filter_fields=("group",)).target)
    yield made
    client.indices.delete(index=targets, ignore_unavailable=True)
    for index in (made.in_place, made.beside):
        remove_attachment(client, index.name, "mv")


def test_no_answer_is_wrong_and_nothing_grows(
    load: Load, client: OpenSearch, fault_row: FaultRow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)  # pytest keeps what is logged, which would be taken for growth
    load.index(1)
    try:
        with Watch(client, load.in_place.name, MIXED_SECONDS / scale(8, 60)) as watch:
            load.run(MIXED_SECONDS)
        for index in (load.in_place, load.beside):
            filler(client, index.name).backfill()
            status = status_of(client, index.name, verify=True)
            assert (status.missing, status.stale, status.orphaned, status.failed) == (0, 0, 0, 0)
    except BaseException as error:
        error.add_note(f"OSMV_TEST_SEED={SEED}")
        raise
    fault_row.counts.update(load.done)
    for what, name in (("rss", "our memory grew MB"), ("heap", "the node's heap grew MB")):
        fault_row.figure(name, watch.growth(what) / MB)
    for what, name in (("files", "open files"), ("threads", "threads")):
        fault_row.figure(f"{name} at most", max(getattr(each, what) for each in watch.seen))
    assert load.done["hits that had to be"] > load.done["searches"]
    assert watch.growth("rss") < RSS_GROWTH
    assert watch.growth("heap") < HEAP_GROWTH
    assert watch.growth("files") < 4
    assert watch.growth("threads") < 4
    assert LONG or load.done["searches"] > 20
