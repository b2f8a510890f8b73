"""`osmv canary` as it is typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from opensearchpy import OpenSearch
from small_index import SmallIndex

from opensearch_multivector.cli.main import run
from opensearch_multivector.ops.canary import names

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Osmv = Callable[..., Done]


@pytest.fixture
def osmv(node_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Osmv:
    """`osmv canary` in this process, as imports take longer than what it does here."""
    monkeypatch.setenv("OSMV_URL", node_url)

    def typed(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["osmv", "canary", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run()
        said = capsys.readouterr()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, said.out, said.err)

    return typed


def test_add_check_list_watch_and_remove(
    client: OpenSearch, node_url: str, osmv: Osmv, name: str, small: SmallIndex
) -> None:
    ways = ("--first-stage", "codes:nprobe=40", "--rerank", "client", "--rerank", "none", "--window-size", "120")
    done = osmv("add", name, "--index", small.name, "--draw", "16", *ways, "--min-recall", "0.9")
    assert done.returncode == 0, done.stderr
    assert "codes:nprobe=40/client" in done.stdout
    assert "scored with all of 120 documents" in done.stderr
    again = osmv("add", name, "--index", small.name)
    assert (again.returncode, "there is a canary" in again.stderr) == (2, True)
    (row,) = [row for row in json.loads(osmv("list", "--json").stdout) if row["canary"]["name"] == name]
    assert [each["recall"] for each in row["last"]["outcomes"]] == [1, 1]
    assert row["by_segments"]["codes:nprobe=40/none"]
    # A search that leaves out most centroids.
    worse = osmv("check", name, "--first-stage", "codes:nprobe=1", "--rerank", "client", "--json")
    assert worse.returncode == 1, worse.stderr
    (outcome,) = json.loads(worse.stdout)["outcomes"]
    assert outcome["recall"] < 0.9
    assert "below 0.9" in outcome["alarms"][0]
    # It was a look at another way, and is not what the canary is known by.
    (row,) = [row for row in json.loads(osmv("list", "--json").stdout) if row["canary"]["name"] == name]
    assert len(row["last"]["outcomes"]) == 2

    # Half of the index loses its codes: the same search finds less.
    for doc_id in sorted(small.vectors)[::2]:
        client.index(index=small.name, id=doc_id, body=small.body(doc_id) | {"mv.codes": []})
    client.indices.refresh(index=small.name)
    watching = subprocess.Popen(
        [sys.executable, "-m", "opensearch_multivector.cli.main", "canary", "watch", name, "--every", "1s", "--json"],
        env=os.environ | {"OSMV_URL": node_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        seen = json.loads(watching.stdout.readline())
        assert seen["outcomes"][0]["recall"] < 0.7
        assert any("below the 1.000 that it was" in alarm for alarm in seen["outcomes"][0]["alarms"])
    finally:
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=60)
    assert watching.returncode == 0, said
    assert osmv("check", name).returncode == 1
    assert osmv("check", name, "--set-baseline", "--min-recall", "0").returncode == 0
    assert osmv("remove", name).returncode == 0
    assert name not in names(client)
    gone = osmv("check", name)
    assert (gone.returncode, "osmv canary add" in gone.stderr) == (4, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "Bad Name", "--index", "none-such"), "none-such"),
        (("watch", "--every", "5 parsecs"), "no time between two checks"),
        (("watch", "--every", "0s"), "no time between two checks"),
        (("remove", "none-such"), "no canary is called"),
        (("renew", "none-such"), "no canary is called"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(osmv: Osmv, arguments: tuple[str, ...], said: str) -> None:
    done = osmv(*arguments)
    assert done.returncode in (2, 3, 4)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_queries_that_no_file_holds(osmv: Osmv, still: SmallIndex, name: str, tmp_path: Path) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_text('{"_id": "q1", "vectors": [[1, 2], [3]]}\n')
    done = osmv("add", name, "--index", still.name, "--queries", str(file))
    assert (done.returncode, f"{file}:1" in done.stderr) == (2, True)
