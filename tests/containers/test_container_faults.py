"""A node in a container is killed, or stands still: no acknowledged write is lost, and who was at work goes on."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from attached_texts import PACE, WordEncoder, attach, check_filled, filler, make_index, put
from contained import Containers, url_of
from opensearchpy import OpenSearch
from same_hits import assert_same_hits

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing import IndexSummary, Limits, index_documents
from opensearch_multivector.plugin.attachments import SIDECAR
from opensearch_multivector.queries.searcher import Searcher

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

COUNT = 1_200
TEXTS: dict[str, dict[str, Any]] = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(120)}
QUERY = "one3 two3"
SEARCH: dict[str, Any] = {"first_stage": "slim", "rerank": "client", "window_size": len(TEXTS)}
STANDSTILL = 6.0  # seconds, more than the searches here wait for
# What a user can do something with: a sentence about the cluster, and nothing of the libraries below.
CLEAR = re.compile(r"(nothing answers|the cluster|of the shards could not be searched)[^\n]*\.$")


def kill(containers: Containers, node: DockerContainer) -> None:
    node.get_wrapped_container().kill()
    time.sleep(1)
    node.get_wrapped_container().start()
    containers.wait_until_ready(node)


def pause(containers: Containers, node: DockerContainer) -> None:
    node.get_wrapped_container().pause()
    try:
        time.sleep(STANDSTILL)
    finally:
        node.get_wrapped_container().unpause()
    containers.wait_until_ready(node)


class Searching:
    """The same search again and again: each answer is the right one, or a clear sentence says why there is none."""

    def __init__(self, url: str, index: str) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self._url, self._index = url, index
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Searching:
        self._running = self._pool.submit(self._work)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        self._running.result()

    def answers_again(self) -> None:
        before, deadline = self.answered, time.monotonic() + 60
        while self.answered == before:
            assert time.monotonic() < deadline, self.failed[-3:]
            assert not self._running.done(), self._running.result()
            time.sleep(0.1)

    def _work(self) -> None:
        encoder = WordEncoder()
        with OpenSearch(self._url, timeout=3, max_retries=0) as client:
            searcher = Searcher(client, self._index, encoder=encoder, term_encoder=encoder)
            calm = searcher.search(QUERY, **SEARCH).hits
            assert len(calm) == 10
            while not self._stop.wait(0.05):
                try:
                    found = searcher.search(QUERY, **SEARCH)
                except ClusterError as error:
                    self.failed.append(str(error))
                    continue
                assert_same_hits(found.hits, calm)
                self.answered += 1


def rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    return [{"id": f"r{i}", "text": f"row{i}", "vectors": rng.normal(size=(3, 4))} for i in range(COUNT)]


def index_rows(url: str, index: str, folder: Path, begun: threading.Event) -> IndexSummary:
    limits = Limits(batch=10, bulk_documents=10, patience=120, checkpoint_seconds=0.2, checkpoint_lines=50)
    while True:
        try:
            with OpenSearch(url, timeout=5, max_retries=0) as client:
                return index_documents(
                    client,
                    index,
                    rows(),
                    encoder=None,
                    dead_letters=folder / "dead.jsonl",
                    limits=limits,
                    progress=lambda at: begun.set() if at.consumed > 100 else None,
                )
        except ClusterError as error:  # where it could not write down how far it is, which is not tried again
            if "the same command goes on from there" not in str(error):
                raise
            time.sleep(1)


def write_on(url: str, index: str, stop: threading.Event) -> list[str]:
    """Documents one by one; which of them were acknowledged."""
    acknowledged = []
    with OpenSearch(url, timeout=3, max_retries=0) as client:
        number = 0
        while not stop.wait(0.01):
            number += 1
            try:
                client.index(index=index, id=str(number), body={"text": f"number {number}"})
            except Exception:
                continue
            acknowledged.append(str(number))
    return acknowledged


@pytest.mark.parametrize("fault", [kill, pause])
def test_under_indexing_filling_and_search(
    fault: Callable[[Containers, DockerContainer], None],
    containers: Containers,
    node: DockerContainer,
    contained: OpenSearch,
    tmp_path: Path,
) -> None:
    name, url = fault.__name__, url_of(node)
    filled, searched, indexed, written = (f"{name}-{what}" for what in ("filled", "searched", "indexed", "written"))
    attachments = []
    for index in (filled, searched):
        make_index(contained, index)
        put(contained, index, TEXTS)
        attachments.append(attach(contained, index, SIDECAR))
    filler(contained, searched).backfill()
    begun, indexing, stop = threading.Event(), threading.Event(), threading.Event()
    filling = filler(
        contained,
        filled,
        seconds=0.01,
        pace=replace(PACE, batch=4, page=8, patience=120),
        progress=lambda *_: begun.set(),
    )
    with Searching(url, searched) as searching, ThreadPoolExecutor(3) as pool:
        searching.answers_again()
        jobs = pool.submit(filling.backfill), pool.submit(index_rows, url, indexed, tmp_path, indexing)
        writing = pool.submit(write_on, url, written, stop)
        try:
            assert begun.wait(60)
            assert indexing.wait(60)
            assert not any(job.done() for job in jobs), "the fault comes too late"
            began = time.monotonic()
            fault(containers, node)
            searching.answers_again()
            containers.figures[f"{name}: from the fault to a search's answer, s"] = f"{time.monotonic() - began:.0f}"
            backfilled, summary = (job.result(timeout=240) for job in jobs)
        finally:
            stop.set()
    assert backfilled.refused == 0
    assert (summary.read, summary.indexed, summary.rejected) == (COUNT, COUNT, 0)
    assert contained.count(index=indexed)["count"] == COUNT
    for attachment in attachments:
        check_filled(contained, attachment, TEXTS)
    acknowledged = writing.result()
    contained.indices.refresh(index=written)
    there = contained.mget(index=written, body={"ids": acknowledged})["docs"]
    assert len(acknowledged) > 20
    assert [each["_id"] for each in there if not each["found"]] == []
    assert searching.failed
    assert [words for words in searching.failed if not CLEAR.search(words)] == []
