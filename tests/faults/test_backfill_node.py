"""The only node is killed and comes back while backfills are at work: they wait, go on, and nothing is left undone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from attached_texts import PACE, attach, check_filled, filler, make_index, put
from fault_table import FaultRow
from opensearchpy import OpenSearch
from scale import NODE_KILLS

from opensearch_multivector.indexing.backfill import status_of
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Attachment, Mode
from opensearch_multivector.plugin.node import NodeStatus, node_status

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.fault("nodes")]

COUNT = 400
MODES: list[Mode] = [IN_PLACE, SIDECAR]


def test_the_node_is_killed_in_the_midst(start_killable: Callable[[], NodeStatus], fault_row: FaultRow) -> None:
    documents: dict[str, dict[str, Any]] = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(COUNT)}
    for number in range(NODE_KILLS):
        node = start_killable()
        with OpenSearch(node.url, timeout=60, max_retries=0) as client, ThreadPoolExecutor(2) as pool:
            attachments: list[Attachment] = []
            begun = [threading.Event() for _ in MODES]
            for mode in MODES:
                name = f"{mode}-{number}"
                make_index(client, name)
                put(client, name, documents)
                attachments.append(attach(client, name, mode))
            pace = replace(PACE, patience=300)
            fillers = [
                filler(client, each.index, seconds=0.005, pace=pace, progress=lambda *_, page=page: page.set())
                for each, page in zip(attachments, begun, strict=True)
            ]
            running = [pool.submit(each.backfill) for each in fillers]
            assert all(page.wait(60) for page in begun)
            os.kill(node.pid, signal.SIGKILL)
            killed = time.monotonic()
            while node_status(node.name) is not None:
                time.sleep(0.05)
            assert start_killable().url == node.url
            fault_row.figure("back after s", time.monotonic() - killed)
            assert [each.result(timeout=400).refused for each in running] == [0, 0]
            for attachment in attachments:
                check_filled(client, attachment, documents)
                status = status_of(client, attachment.index, verify=True)
                assert (status.missing, status.stale, status.orphaned, status.failed) == (0, 0, 0, 0)
        fault_row.counts.update(kills=1, documents=COUNT * len(MODES))
