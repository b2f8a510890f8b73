"""The rows of the matrix `here` that are said to be quick, on the real collections with the real models: all green."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders import checkpoints

pytest.importorskip("yaml")
pytest.importorskip("ir_measures")

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
QUICK = 2  # minutes a row

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(not (DATA / "scifact").is_dir(), reason=f"SciFact and LIMIT-small are not at {DATA}"),
    pytest.mark.skipif(not checkpoints.installed("torch"), reason="the extra torch is not installed"),
]


def test_quick_rows_are_green(client: OpenSearch, node_url: str, tmp_path: Path) -> None:
    before = set(client.indices.get(index="*"))
    command = [sys.executable, "-m", "opensearch_multivector.cli.main", "reproduce", "here", "--minutes", str(QUICK)]
    options = ["--data", str(DATA), "--out", str(tmp_path), "--latency-topics", "5", "--url", node_url, "--json"]
    done = subprocess.run(command + options, capture_output=True, text=True)
    rows = json.loads(done.stdout or "[]")
    made = {row["index"] for row in rows if row["index"]} - before
    if made:
        client.indices.delete(index=",".join(made))
    assert done.returncode == 0, done.stderr
    assert {row["status"] for row in rows} == {"green"}
    assert {row["row"] for row in rows} >= {"limit-small-bm25", "limit-small-maxsim", "scifact-bm25-pyserini"}
    # Pyserini's own figures, with its parameters, to the fourth digit.
    (bm25,) = (row for row in rows if row["row"] == "scifact-bm25-pyserini")
    assert [abs(figure["difference"]) < 0.0001 for figure in bm25["figures"]] == [True, True, True]
