"""Three nodes, each shard twice: one is killed while texts are filled in, written and searched for, and comes back."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
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
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Mode
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.fault("nodes")]

COUNT = 600
GAP = 60.0  # seconds without an answer, at most; one or two where the machine does nothing else
BOUND = 0.2  # of the searches may fail
QUERY = "bees dance home"


@pytest.fixture(scope="module")
def nodes() -> Iterator[ThreeNodes]:
    with three_nodes(f"osmv-test-{os.getpid()}-three") as started:
        yield started


@dataclass
class Searching:
    """Searches of an index that does not change, one after the other, each answer compared with what it has to be."""

    client: OpenSearch
    index: str
    expected: dict[str, float]
    rerank: str
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    gap: float = 0.0
    error: BaseException | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Searching:
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        encoder = WordEncoder()
        searcher: Searcher | None = None
        last = time.monotonic()
        try:
            while not self._stop.is_set():
                try:
                    searcher = searcher or Searcher(self.client, self.index, encoder=encoder, term_encoder=encoder)
                    result = searcher.search(QUERY, first_stage="slim", rerank=self.rerank, window_size=COUNT)
                except ClusterError as error:
                    self.failed.append(str(error))
                    continue
                finally:
                    now = time.monotonic()
                    self.gap = max(self.gap, now - last)
                found = {hit.doc_id: hit.score for hit in result.hits}
                assert found == pytest.approx(self.expected, abs=1e-4)
                assert result.skipped == {}
                self.answered += 1
                last = now
        except BaseException as error:
            self.error = error


def documents() -> dict[str, dict[str, Any]]:
    words = [*QUERY.split(), *(f"word{i}" for i in range(40))]
    rng = np.random.default_rng(5)
    return {f"d{i}": {"text": " ".join(rng.choice(words, 6)), "price": i} for i in range(COUNT)}


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


@pytest.mark.parametrize("mode", [IN_PLACE, SIDECAR])
def test_one_of_three_nodes_is_killed(mode: Mode, nodes: ThreeNodes, fault_row: FaultRow) -> None:
    moments = random.Random(SEED)
    texts = documents()
    # Equal scores could change places; with distinct ones the ten best are the ten best.
    texts = {doc_id: body | {"text": f"{body['text']} own{doc_id}"} for doc_id, body in texts.items()}
    index, calm = f"filled-{mode}", f"searched-{mode}"
    # Clients know all nodes, as those of a cluster do, and ask another where one does not answer.
    with OpenSearch(nodes.urls, timeout=20, max_retries=3, retry_on_timeout=True) as client:
        for name in (calm, index):
            make_index(client, name, replicas=1)
            put(client, name, texts)
            attach(client, name, mode, replicas=1)
        filler(client, calm).backfill()
        attachment = filler(client, index).attachment
        nodes.wait(3, "green")
        pages = threading.Event()
        outcome: list[BackfillSummary] = []
        running = filler(client, index, seconds=0.01, pace=replace(PACE, patience=300), progress=lambda *_: pages.set())
        worker = threading.Thread(target=lambda: outcome.append(running.backfill()))
        with Searching(client, calm, best(texts, 10), rerank="client") as searching:
            worker.start()
            assert pages.wait(60)
            for number in range(NODE_KILLS):
                # The manager first: that is the worst.
                victim = nodes.manager() if number == 0 else moments.randrange(3)
                fault_row.figure("back after s", nodes.lose_and_regain(victim))
            worker.join(timeout=600)
        assert searching.error is None, f"seed {SEED}: {searching.error!r}"
        assert searching.answered > 0
        total = searching.answered + len(searching.failed)
        assert len(searching.failed) <= BOUND * total, f"{len(searching.failed)} of {total}: {set(searching.failed)}"
        assert searching.gap < GAP
        assert [summary.refused for summary in outcome] == [0]
        filler(client, index).backfill()
        check_filled(client, attachment, texts)
        status = status_of(client, index, verify=True)
        assert (status.missing, status.stale, status.orphaned, status.failed) == (0, 0, 0, 0)
        fault_row.counts.update(
            kills=NODE_KILLS, documents=COUNT, searches=searching.answered, **{"searches failed": len(searching.failed)}
        )
        fault_row.figure("longest without an answer s", searching.gap)
