"""`osmv index`, killed with SIGKILL at random moments and started again, ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_table import FaultRow
from opensearchpy import OpenSearch, helpers
from scale import KILLED_RUNS as KILLS
from scale import SEED, scale

from opensearch_multivector.plugin.state import STATE_INDEX

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.fault("kills")]

LINES = scale(4_000, 6_000)  # checkpoints are written every 2,000, or every second
KILLS_A_RUN = 3  # a run that was killed before its first checkpoint begins anew
SUMMED = ("read", "indexed", "rejected", "truncated", "vector_bytes")


def write_documents(path: Path) -> None:
    """Sound lines, among them lines that are broken, duplicates near and far, and documents that OpenSearch refuses."""
    rng = np.random.default_rng(1)
    words = [f"w{i}" for i in range(500)]
    with path.open("w", encoding="utf-8") as file:
        for line in range(1, LINES + 1):
            document: dict[str, Any] = {
                "id": f"doc-{line}",
                "text": " ".join(rng.choice(words, size=20)),
                "year": 2000 + line % 25,
                "vectors": rng.normal(size=(int(rng.integers(15, 26)), 32)).round(3).tolist(),
            }
            if line % 97 == 0:
                document["id"] = f"doc-{line - 1}"  # in the same batch
            if line % 101 == 0:
                document["id"] = f"doc-{line // 2}"  # long written
            if line > 600 and line % 151 == 0:
                document["year"] = "not a number"  # refused by the mapping ...
            if line > 600 and line % 151 == 1:
                document["id"] = f"doc-{line - 1}"  # ... so that this one, with the same id, gets in
            if line % 211 == 0:
                document["vectors"][3][5] = float("nan")
            file.write("{broken\n" if line % 307 == 0 else json.dumps(document) + "\n")


def start(url: str, folder: Path, index: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "opensearch_multivector.cli.main", "index", "docs.jsonl"]
    options = ["--index", index, "--url", url, "--dead-letters", f"{index}.dead.jsonl", "--json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command + options, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def stored(client: OpenSearch, index: str) -> dict[str, Any]:
    query = {"query": {"match_all": {}}, "docvalue_fields": ["mv.vectors"], "version": True}
    hits = helpers.scan(client, query=query, index=index, size=1000)
    # The version's upper half is the run's time; its lower half tells which line is there.
    return {hit["_id"]: (hit["_source"], hit["fields"]["mv.vectors"], hit["_version"] & 0xFFFF_FFFF) for hit in hits}


def dead(folder: Path, index: str) -> list[dict[str, Any]]:
    lines = (folder / f"{index}.dead.jsonl").read_text().splitlines()
    return sorted(map(json.loads, lines), key=lambda entry: entry["line"])


def kill_in_its_midst(process: subprocess.Popen[str], client: OpenSearch, index: str, moments: random.Random) -> bool:
    """Kills most while documents are on their way, some while it starts or takes up again; False: it was faster.

    By what the index has taken in, not by the clock: how long a start takes differs from one machine to another. A
    fast one writes few checkpoints: some wait for the first, or hardly a run would have any to go on from.
    """
    chance = moments.random()
    if chance < 0.2:
        time.sleep(moments.uniform(0.1, 2))
    elif chance < 0.5:
        while process.poll() is None and not checkpointed(client, index):
            time.sleep(0.01)
    else:
        goal = written(client, index) + moments.randrange(1, LINES)
        while process.poll() is None and written(client, index) < goal:
            time.sleep(0.01)
    if process.poll() is not None:
        return False
    process.kill()
    process.communicate()
    return True


def written(client: OpenSearch, index: str) -> int:
    """How many documents it took in, those it no longer has among them."""
    stats = client.indices.stats(index=index, metric="indexing", params={"ignore_unavailable": "true"})
    total: int = stats["_all"]["primaries"].get("indexing", {}).get("index_total", 0)
    return total


def checkpointed(client: OpenSearch, index: str) -> bool:
    """Whether a run into the index has written down a place to go on from."""
    states = client.search(index=STATE_INDEX, body={"size": 10_000}, params={"ignore_unavailable": "true"})
    client.indices.refresh(index=STATE_INDEX, ignore_unavailable=True)  # for the next time
    stored = (hit["_source"] for hit in states["hits"]["hits"] if hit["_id"].startswith("run-"))
    return any(state["index"] == index and state["mark"]["line"] > 0 for state in stored)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 1, f"exit code {process.returncode}, seed {SEED}: {errors}"
    summary: dict[str, Any] = json.loads(output)
    return summary


def test_killed_runs_end_as_an_undisturbed_one(
    node_url: str, client: OpenSearch, index_name: str, tmp_path: Path, fault_row: FaultRow
) -> None:
    moments = random.Random(SEED)
    write_documents(tmp_path / "docs.jsonl")
    calm = finish(start(node_url, tmp_path, index_name))
    expected_documents, expected_dead = stored(client, index_name), dead(tmp_path, index_name)
    assert calm["read"] == LINES == calm["indexed"] + calm["rejected"]
    assert calm["indexed"] == len(expected_documents)
    assert calm["rejected"] == len(expected_dead)
    assert {entry["line"] for entry in expected_dead} > {151 * 4, 97, 101, 211, 307}

    kills = resumed = rounds = 0
    while kills < KILLS or not resumed:
        assert rounds < 30, f"no run was resumed in its midst, seed {SEED}"
        rounds += 1
        index = f"{index_name}-{rounds}"
        for _ in range(KILLS_A_RUN):
            process = start(node_url, tmp_path, index)
            if not kill_in_its_midst(process, client, index, moments):
                break
            kills += 1
        else:
            process = start(node_url, tmp_path, index)
        summary = finish(process)
        resumed += summary["resumed_from"] > 0
        assert stored(client, index) == expected_documents, f"seed {SEED}"
        assert dead(tmp_path, index) == expected_dead, f"seed {SEED}"
        assert {key: summary[key] for key in SUMMED} == {key: calm[key] for key in SUMMED}, f"seed {SEED}"
    fault_row.counts.update(kills=kills, documents=rounds * LINES)
