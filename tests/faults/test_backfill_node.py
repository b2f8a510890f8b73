"""The node is killed and comes back while a backfill is at work: it waits, goes on, and nothing is left undone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from attached_texts import PACE, attach, check_filled, filler, make_index, put
from opensearchpy import OpenSearch

from opensearch_multivector.indexing.backfill import BackfillSummary, status_of
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Mode
from opensearch_multivector.plugin.node import NodeStatus, clean_node, node_status, start_node

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.fault("nodes")]

NAME = f"osmv-test-{os.getpid()}-backfill"
COUNT = 400


@pytest.fixture(scope="module")
def node_of_its_own() -> Iterator[NodeStatus]:
    try:
        yield start_node(NAME, heap="700m", quiet=True)
    finally:
        clean_node(NAME)


@pytest.mark.parametrize("mode", [IN_PLACE, SIDECAR])
def test_a_node_killed_in_the_midst(mode: Mode, node_of_its_own: NodeStatus) -> None:
    documents = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(COUNT)}
    node = start_node(NAME, heap="700m", quiet=True)
    with OpenSearch(node.url, timeout=60, max_retries=0) as client:
        make_index(client, mode)
        put(client, mode, documents)
        attachment = attach(client, mode, mode)
        pages = threading.Event()
        running = filler(client, mode, seconds=0.005, pace=replace(PACE, patience=300), progress=lambda *_: pages.set())
        outcome: list[BackfillSummary] = []
        worker = threading.Thread(target=lambda: outcome.append(running.backfill()))
        worker.start()
        assert pages.wait(60)
        os.kill(node.pid, signal.SIGKILL)
        while node_status(NAME) is not None:
            time.sleep(0.05)
        again = start_node(NAME, heap="700m", quiet=True)
        assert again.url == node.url
        worker.join(timeout=400)
        (summary,) = outcome
        assert summary.refused == 0
        check_filled(client, attachment, documents)
        status = status_of(client, mode, verify=True)
        assert (status.missing, status.stale, status.orphaned, status.failed) == (0, 0, 0, 0)
