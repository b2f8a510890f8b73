"""A backfill killed with SIGKILL at random moments, one worker or three, taken up again: all is filled, once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from attached_texts import attach, check_filled, make_index, put, stored
from fault_table import FaultRow
from opensearchpy import OpenSearch
from scale import KILLS, LONG, SEED

from opensearch_multivector.indexing.backfill import status_of
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Attachment, Mode

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.fault("kills")]

COUNT = 1_000
SECONDS_PER_TEXT = 0.002
SCRIPT = Path(__file__).with_name("backfill_process.py")
# In the short form one of each, by the seed.
PAIRS: list[tuple[Mode, int]] = [(IN_PLACE, 1), (SIDECAR, 1), (IN_PLACE, 3), (SIDECAR, 3)]


def start(url: str, index: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), url, index, str(SECONDS_PER_TEXT)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def written(client: OpenSearch, attachment: Attachment) -> int:
    stats = client.indices.stats(index=attachment.target, metric="indexing")
    return int(stats["_all"]["primaries"]["indexing"]["index_total"])


@pytest.mark.parametrize(("mode", "workers"), PAIRS if LONG else [PAIRS[SEED % 2], PAIRS[3 - SEED % 2]])
def test_killed_workers_leave_nothing_undone_and_nothing_done_twice(
    mode: Mode, workers: int, node_url: str, client: OpenSearch, index_name: str, fault_row: FaultRow
) -> None:
    moments = random.Random(SEED)
    make_index(client, index_name)
    documents: dict[str, dict[str, Any]] = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(COUNT)}
    put(client, index_name, documents)
    attachment = attach(client, index_name, mode)
    first = written(client, attachment)
    processes = [start(node_url, index_name) for _ in range(workers)]
    kills = in_midst = 0
    try:
        while kills < KILLS:
            # By what was written, not by the clock: how long a start takes differs from machine to machine.
            goal = written(client, attachment) + moments.randrange(1, max(2, 2 * COUNT // KILLS))
            victim = moments.randrange(workers)
            while processes[victim].poll() is None and written(client, attachment) < goal:
                time.sleep(0.005)
            if processes[victim].poll() is not None:
                break
            processes[victim].kill()
            processes[victim].communicate()
            kills += 1
            in_midst += first < written(client, attachment) < first + COUNT
            processes[victim] = start(node_url, index_name)
        for process in processes:
            output, errors = process.communicate(timeout=120)
            assert process.returncode == 0, f"seed {SEED}: {errors}"
            summary = json.loads(output)
            assert (summary["refused"], summary["interrupted"]) == (0, False)
        assert in_midst, f"no worker was killed in its midst, seed {SEED}"
        check_filled(client, attachment, documents)
        # A document whose worker died before it could say so was found filled; two workers at once guard each other.
        assert written(client, attachment) - first == COUNT, f"seed {SEED}"
        versions = client.search(index=index_name, body={"size": COUNT, "version": True, "_source": False})
        expected = {2} if mode == IN_PLACE else {1}
        assert {hit["_version"] for hit in versions["hits"]["hits"]} == expected
        status = status_of(client, index_name, verify=True)
        assert (status.complete, status.covered, status.workers) == (True, COUNT, ())
        assert len(stored(client, attachment)) == COUNT
        fault_row.counts.update(kills=kills, documents=COUNT, **{"kills amid writing": in_midst})
    finally:
        for process in processes:
            process.kill()
            process.communicate()
        if mode == SIDECAR:
            client.indices.delete(index=attachment.target)
