"""The data volume is full: that is said, nothing acknowledged is lost, and the same command goes on with more room."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from contained import HOME, Containers, said, url_of
from opensearchpy import OpenSearch, TransportError

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing import IndexSummary, Limits, index_documents

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

COUNT = 600
BALLAST = f"{HOME}/data/ballast"


@pytest.fixture
def small(containers: Containers) -> Iterator[DockerContainer]:
    """Of 64 MB, most of them taken; it looks every second whether it can write, not every two minutes."""
    often = {"monitor.fs.health.refresh_interval": "1s"}
    with containers.opensearch("full", megabytes=64, settings=often) as started:
        assert said(started, "dd", "if=/dev/zero", f"of={BALLAST}", "bs=1M", "count=54")[0] == 0
        yield started


def rows() -> Iterator[dict[str, Any]]:
    """80 kB of vectors each."""
    rng = np.random.default_rng(7)
    for i in range(COUNT):
        yield {"id": f"d{i}", "text": f"word{i}", "vectors": rng.normal(size=(160, 128)).astype(np.float32)}


def load(client: OpenSearch, folder: Path) -> IndexSummary:
    limits = Limits(batch=8, bulk_documents=8, patience=5, checkpoint_seconds=0.2, checkpoint_lines=16)
    dead = folder / "dead.jsonl"
    return index_documents(client, "big", rows(), encoder=None, codec="int8", dead_letters=dead, limits=limits)


def give_room(node: DockerContainer, client: OpenSearch) -> None:
    """And have the shards that gave up tried again, as the node's own words in its log ask for."""
    assert said(node, "rm", BALLAST)[0] == 0
    deadline = time.monotonic() + 90
    while True:
        try:
            client.cluster.reroute(params={"retry_failed": "true"})
            if client.cluster.health()["status"] != "red":
                return
        except TransportError:  # no manager yet
            pass
        assert time.monotonic() < deadline
        time.sleep(1)


def test_it_fills_up_and_is_given_room(small: DockerContainer, tmp_path: Path) -> None:
    with OpenSearch(url_of(small), timeout=5, max_retries=0) as client:
        # Said by the node, or by nobody: its manager, which can't write either, steps down.
        clear = r"(No space left on device|did not answer in time).* the same command goes on from there\)$"
        with pytest.raises(ClusterError, match=clear) as raised:
            load(client, tmp_path)
        done = re.search(r"(\d+) documents are done", str(raised.value))
        assert done
        give_room(small, client)
        acknowledged = int(done[1])
        client.indices.refresh(index="big")
        assert 0 < acknowledged <= client.count(index="big")["count"] < COUNT
        ids = [f"d{i}" for i in range(acknowledged)]
        assert all(each["found"] for each in client.mget(index="big", body={"ids": ids}, _source=False)["docs"])
        summary = load(client, tmp_path)
        assert not (tmp_path / "dead.jsonl").exists()  # a full disk is no document's fault
        assert summary.resumed_from > 0
        assert (summary.read, summary.indexed, summary.rejected) == (COUNT, COUNT, 0)
        assert client.count(index="big")["count"] == COUNT
