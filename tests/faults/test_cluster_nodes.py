"""Three nodes, each shard twice: one is killed while texts are filled in, written and searched for, and comes back."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from attached_texts import PACE, WordEncoder, attach, check_filled, filler, make_index, put
from fault_table import FaultRow
from opensearchpy import OpenSearch
from scale import NODE_KILLS, SEED
from three_nodes import ThreeNodes, three_nodes

from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing.backfill import BackfillSummary, status_of
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Mode, get_attachment
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.fault("nodes")]

COUNT = 600
GAP = 60.0  # seconds without an answer, at most; one or two where the machine does nothing else
BOUND = 0.2  # of the searches may fail
QUERY = "bees dance home"
MODES: list[Mode] = [IN_PLACE, SIDECAR]


@pytest.fixture(scope="module")
def nodes() -> Iterator[ThreeNodes]:
    with three_nodes(f"osmv-test-{os.getpid()}-three") as started:
        yield started


class Searching:
    """Searches of an index that does not change, one after the other, each answer compared with what it has to be."""

    def __init__(self, client: OpenSearch, index: str, expected: dict[str, float]) -> None:
        self._client = client
        self._index = index
        self._expected = expected
        self._answered = 0
        self._failed: list[str] = []
        self._gap = 0.0
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Searching:
        self._running = self._pool.submit(self._work)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()

    def outcome(self) -> tuple[int, list[str], float]:
        """How many were answered, why others failed, and how long it took from an answer to the next at most."""
        self._stop.set()
        self._running.result()
        return self._answered, self._failed, self._gap

    def _work(self) -> None:
        encoder = WordEncoder()
        searcher = Searcher(self._client, self._index, encoder=encoder, term_encoder=encoder)
        last = time.monotonic()
        while not self._stop.wait(0.02):
            try:
                result = searcher.search(QUERY, first_stage="slim", rerank="client", window_size=COUNT)
            except ClusterError as error:
                self._failed.append(str(error))
                continue
            finally:
                self._gap = max(self._gap, time.monotonic() - last)
            assert {hit.doc_id: hit.score for hit in result.hits} == pytest.approx(self._expected, abs=1e-4)
            assert result.skipped == {}
            self._answered += 1
            last = time.monotonic()


class Filling:
    """A backfill at work; ``begun``: a page of it is done."""

    def __init__(self, client: OpenSearch, index: str) -> None:
        self.begun = threading.Event()
        pace = replace(PACE, patience=300)
        self._stop = threading.Event()
        self._filler = filler(
            client, index, seconds=0.01, pace=pace, progress=lambda *_: self.begun.set(), stop=self._stop
        )
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Filling:
        self._running = self._pool.submit(self._filler.backfill)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()

    def summary(self) -> BackfillSummary:
        """Once it is done."""
        return self._running.result(timeout=600)


def documents() -> dict[str, dict[str, Any]]:
    words = [*QUERY.split(), *(f"word{i}" for i in range(40))]
    rng = np.random.default_rng(5)
    # Equal scores could change places; with a word of its own in each, the ten best are the ten best.
    return {f"d{i}": {"text": f"{' '.join(rng.choice(words, 6))} own{i}", "price": i} for i in range(COUNT)}


def searched(mode: Mode) -> str:
    return f"searched-{mode}"


def filled(mode: Mode) -> str:
    return f"filled-{mode}"


def best(texts: dict[str, dict[str, Any]], count: int) -> dict[str, float]:
    """The documents that share a term with the query and have the highest scores."""
    encoder = WordEncoder()
    (query,) = encoder.encode([QUERY], "query")
    terms = {int(each) for each in encoder.encode_terms([QUERY], "query")[0].ids[:, 0]}
    scores = {}
    for doc_id, body in texts.items():
        own = encoder.encode_terms([body["text"]], "document")[0].ids[:, 0]
        if terms & set(map(int, own)):
            scores[doc_id] = float(maxsim(query.vectors, encoder.encode([body["text"]], "document")[0].vectors))
    return dict(sorted(scores.items(), key=lambda item: -item[1])[:count])


def test_one_of_three_nodes_is_killed(nodes: ThreeNodes, fault_row: FaultRow) -> None:
    """In place and a sidecar are filled at once, while others of each are searched."""
    moments = random.Random(SEED)
    texts = documents()
    # Clients know all nodes, as those of a cluster do, and ask another where one does not answer.
    with ExitStack() as stack:
        client = stack.enter_context(OpenSearch(nodes.urls, timeout=20, max_retries=3, retry_on_timeout=True))
        for mode in MODES:
            for name in (searched(mode), filled(mode)):
                make_index(client, name, replicas=1)
                put(client, name, texts)
                attach(client, name, mode, replicas=1)
            filler(client, searched(mode)).backfill()
        nodes.wait(3, "green")
        expected = best(texts, 10)
        searching = [stack.enter_context(Searching(client, searched(mode), expected)) for mode in MODES]
        filling = [stack.enter_context(Filling(client, filled(mode))) for mode in MODES]
        for each in filling:
            assert each.begun.wait(60)
        for number in range(NODE_KILLS):
            # The manager first: that is the worst.
            victim = nodes.manager() if number == 0 else moments.randrange(3)
            fault_row.figure("back after s", nodes.lose_and_regain(victim))
        assert [each.summary().refused for each in filling] == [0, 0]
        for each in searching:
            answered, failed, gap = each.outcome()
            assert len(failed) <= BOUND * (answered + len(failed)), f"seed {SEED}: {len(failed)} fail: {set(failed)}"
            assert gap < GAP
            fault_row.counts.update({"searches": answered, "searches failed": len(failed)})
            fault_row.figure("longest without an answer s", gap)
        for mode in MODES:
            filler(client, filled(mode)).backfill()
            check_filled(client, get_attachment(client, filled(mode), "mv"), texts)
            status = status_of(client, filled(mode), verify=True)
            assert (status.missing, status.stale, status.orphaned, status.failed) == (0, 0, 0, 0)
        fault_row.counts.update(kills=NODE_KILLS, documents=len(MODES) * COUNT)
