"""The data volume is full: that is said, nothing acknowledged is lost, and the same command goes on with more room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from contained import HOME, Containers, said, url_of
from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing import IndexSummary, Limits, index_documents

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

COUNT = 600
BALLAST = f"{HOME}/data/ballast"


@pytest.fixture
def small(containers: Containers) -> Iterator[DockerContainer]:
    with containers.opensearch("full", data="64m") as started:
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


def test_it_fills_up_and_is_given_room(small: DockerContainer, tmp_path: Path) -> None:
    assert said(small, "dd", "if=/dev/zero", f"of={BALLAST}", "bs=1M", "count=55")[0] == 0
    with OpenSearch(url_of(small), timeout=30, max_retries=0) as client:
        with pytest.raises(ClusterError) as raised:
            load(client, tmp_path)
        print(raised.value)
        assert said(small, "rm", BALLAST)[0] == 0
        client.cluster.reroute(params={"retry_failed": "true"})
        client.cluster.health(index="big", params={"wait_for_status": "yellow", "timeout": 60})
        there = client.count(index="big")["count"]
        print(there, "there before")
        summary = load(client, tmp_path)
        print(summary)
