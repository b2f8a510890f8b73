"""`osmv reproduce` against the real node: green and off, not run, kept and run again, killed and gone on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from osmv_here import Ran, osmv

from opensearch_multivector.evaluation.provenance import sha256
from opensearch_multivector.evaluation.runs import read_run

pytest.importorskip("yaml")
pytest.importorskip("ir_measures")

pytestmark = pytest.mark.integration

DOCUMENTS = {
    "bees": "Honey bees find their way home by the position of the sun and by landmarks.",
    "bread": "Sourdough rises because wild yeast and bacteria make the dough sour and airy.",
    "moon": "The first people walked on the moon in July 1969, when bees were asleep.",
}
TOPICS = {"1": "bees sun", "2": "walked on the moon", "3": "nothing of it"}
QRELS = {"1": "bees", "2": "moon", "3": "bread"}
MATRIX = """
title: Birds
collections:
  {name}: {{folder: {name}}}
  absent: {{folder: absent}}
rows:
  - name: words
    collection: {name}
    index: {{no_vectors: true}}
    search: {{first_stage: bm25, size: 2}}
    expected: {{"R@2": 0.6667, "RR@2": 0.6667}}
    tolerance: 0.001
    source: counted by hand
  - name: "vectors <b>"
    collection: {name}
    index: {{encoder: none, sub_fields: []}}
    search: {{first_stage: bm25, size: 2}}
    expected: {{"R@1": 0.6667}}
    tolerance: 0.001
    source: counted by hand
"""
Run = Callable[..., Ran]


def write_collection(folder: Path, documents: dict[str, str]) -> None:
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    lines = [{"_id": doc_id, "text": text, "vectors": [[0.6, 0.8]]} for doc_id, text in documents.items()]
    topics = [{"_id": query_id, "text": text} for query_id, text in TOPICS.items()]
    for name, objects in (("corpus", lines), ("queries", topics)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, objects)), encoding="utf-8")
    qrels = "\n".join(f"{query_id} 0 {doc_id} 1" for query_id, doc_id in QRELS.items())
    (folder / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8")


@pytest.fixture
def matrix(tmp_path: Path, index_name: str) -> Path:
    """A matrix beside its collection, which has the name of the test's indices, so that these are removed."""
    write_collection(tmp_path / index_name, DOCUMENTS)
    path = tmp_path / "birds.yaml"
    path.write_text(MATRIX.format(name=index_name), encoding="utf-8")
    return path


def command(folder: Path, url: str, *arguments: str) -> list[str]:
    options = ["--data", str(folder), "--out", str(folder / "out"), "--latency-topics", "1", "--url", url]
    return ["reproduce", *arguments, *options]


@pytest.fixture
def reproduce(tmp_path: Path, node_url: str) -> Run:
    return lambda *arguments: osmv(*command(tmp_path, node_url, *arguments))


def rows(done: Ran, code: int = 0) -> dict[str, dict[str, Any]]:
    """What `--json` printed, by row."""
    assert done.returncode == code, done.stderr
    return {row["row"]: row for row in json.loads(done.stdout)}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_rows_are_run_compared_and_reported(matrix: Path, reproduce: Run, tmp_path: Path) -> None:
    done = reproduce(str(matrix))
    assert done.returncode == 0, done.stderr
    assert "2 green." in done.stdout
    found = rows(reproduce(str(matrix), "--json"))
    words, vectors = found["words"], found["vectors <b>"]
    assert [(figure["measure"], figure["ours"]) for figure in words["figures"]] == [
        ("R@2", pytest.approx(2 / 3)),
        ("RR@2", pytest.approx(2 / 3)),
    ]
    assert words["index_bytes"] > 0
    assert words["latency_ms"]["p50"] > 0
    assert words["index"] != vectors["index"]
    run = tmp_path / "out" / words["run"]
    assert {doc_id for doc_id, _ in read_run(run)["1"]} == {"bees", "moon"}
    header = json.loads(run.with_name("bm25.run.json").read_text(encoding="utf-8"))
    assert header["run"]["sha256"] == sha256(run)
    assert header["reproduced"]["row"]["source"] == "counted by hand"
    report, page = ((tmp_path / "out" / f"report.{ending}").read_text(encoding="utf-8") for ending in ("md", "html"))
    assert "| words | R@2 | 0.6667 | 0.6667 | 0.0000 | 0.001 | green |" in report
    assert header["run"]["sha256"] in report
    assert "vectors &lt;b&gt;" in page
    assert "<b>" not in page


def test_documents_that_are_rejected_are_told(matrix: Path, reproduce: Run, tmp_path: Path, index_name: str) -> None:
    with (tmp_path / index_name / "corpus.jsonl").open("a", encoding="utf-8") as corpus:
        corpus.write('\n{"_id": "other", "text": "of another dimension", "vectors": [[1, 2, 3]]}')
    assert {row["status"] for row in rows(reproduce(str(matrix), "--json")).values()} == {"green"}
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert report.count("rejected: 1 of the documents") == 1
    (letters,) = (tmp_path / "out" / "rejected").iterdir()
    assert json.loads(letters.read_text(encoding="utf-8"))["doc_id"] == "other"


def test_a_figure_that_is_off_gives_exit_code_1(matrix: Path, reproduce: Run, tmp_path: Path) -> None:
    edit(matrix, '"RR@2": 0.6667', '"RR@2": 0.65')
    found = rows(reproduce(str(matrix), "--json"), code=1)
    assert (found["words"]["status"], found["vectors <b>"]["status"]) == ("off", "green")
    assert [figure["within"] for figure in found["words"]["figures"]] == [True, False]
    assert "| RR@2 | 0.6500 | 0.6667 | +0.0167 | 0.001 | off |" in (tmp_path / "out" / "report.md").read_text("utf-8")


def test_a_row_that_cannot_be_run_is_said_so(matrix: Path, reproduce: Run, tmp_path: Path, index_name: str) -> None:
    edit(matrix, f"collection: {index_name}", "collection: absent")
    edit(matrix, "encoder: none", f"encoder: {tmp_path / 'no-model'}")
    found = rows(reproduce(str(matrix), "--json"))
    assert {row["status"] for row in found.values()} == {"not run"}
    assert f"there is no folder {tmp_path / 'absent'}" in found["words"]["reason"]
    assert "no-model" in found["vectors <b>"]["reason"]
    assert "no-model" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "0.6667 | 0.6667" not in (tmp_path / "out" / "report.md").read_text("utf-8")


def test_a_row_that_fails_lets_the_others_run_and_gives_its_code(matrix: Path, reproduce: Run) -> None:
    edit(matrix, "first_stage: bm25, size: 2", "first_stage: bm25, rerank: client, size: 2")
    found = rows(reproduce(str(matrix), "--json"), code=4)
    assert (found["words"]["status"], found["vectors <b>"]["status"]) == ("failed", "green")
    assert "rerank 'client' needs token vectors" in found["words"]["reason"]


def test_a_finished_row_is_run_again_only_where_something_changed(
    matrix: Path, reproduce: Run, client: OpenSearch, tmp_path: Path, index_name: str
) -> None:
    def kept(*arguments: str, code: int = 0) -> list[bool]:
        return [row["kept"] for row in rows(reproduce(str(matrix), "--json", *arguments), code).values()]

    assert kept() == [False, False]
    assert kept() == [True, True]
    assert kept("--again", "--row", "words") == [False]
    # Of what decides no figure the row takes what the matrix says now.
    edit(matrix, "tolerance: 0.001\n    source: counted by hand", "tolerance: 0.00001\n    source: another")
    assert kept(code=1) == [True, True]
    assert "another" in (tmp_path / "out" / "report.md").read_text("utf-8")
    edit(matrix, "0.00001", "0.001")
    edit(matrix, "size: 2", "size: 3")
    edit(matrix, '"R@2": 0.6667, ', "")
    assert kept() == [False, True]
    found = rows(reproduce(str(matrix), "--json"))
    assert [row["kept"] for row in found.values()] == [True, True]
    # The index: written to by somebody else; then gone, which says nothing of the figures.
    index = found["words"]["index"]
    client.index(index=index, id="bees", body={"mv": {"text": "x"}}, params={"refresh": "true"})
    assert kept(code=1) == [False, True]
    client.indices.delete(index=index)
    assert kept(code=1) == [True, True]
    # The data.
    write_collection(tmp_path / index_name, DOCUMENTS | {"new": "Glass is made of sand."})
    assert kept() == [False, False]


def test_what_was_finished_stays_in_the_report(matrix: Path, reproduce: Run, tmp_path: Path) -> None:
    assert list(rows(reproduce(str(matrix), "--row", "vec*", "--json"))) == ["vectors <b>"]
    assert list(rows(reproduce(str(matrix), "--row", "words", "--json"))) == ["words"]
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert report.index("| words |") < report.index("| vectors \\<b\\> |")
    assert "2 green." in report


def test_a_dry_run_asks_no_cluster_and_writes_nothing(matrix: Path, tmp_path: Path) -> None:
    edit(matrix, "title: Birds", "title: Birds  # nobody listens at that port")
    done = osmv(*command(tmp_path, "http://127.0.0.1:9", str(matrix), "--dry-run", "--json"))
    assert done.returncode == 0, done.stderr
    assert [row["plan"] for row in json.loads(done.stdout)] == ["to run", "to run"]
    assert not (tmp_path / "out").exists()
    done = osmv(*command(tmp_path, "http://127.0.0.1:9", str(matrix)))
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_a_killed_reproduction_goes_on_where_it_stood(
    matrix: Path, reproduce: Run, client: OpenSearch, tmp_path: Path, index_name: str, node_url: str
) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(20, 200, 2)).round(3).tolist()
    with (tmp_path / index_name / "corpus.jsonl").open("a", encoding="utf-8") as corpus:
        for number in range(12_000):
            document = {"_id": f"d{number}", "text": f"filling {number}", "vectors": vectors[number % 20]}
            corpus.write(f"\n{json.dumps(document)}")
    own = [sys.executable, "-m", "opensearch_multivector.cli.main"]
    own += command(tmp_path, node_url, str(matrix), "--json")
    process = subprocess.Popen(own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Killed by what the second row's index has taken in, not by the clock.
    first = tmp_path / "out" / "rows" / "birds.words" / "result.json"
    while process.poll() is None and not (first.exists() and second_index(client, index_name, first) >= 5_000):
        time.sleep(0.01)
    assert process.poll() is None, "it was done before it could be killed"
    process.kill()
    process.communicate()
    made = json.loads(first.read_text(encoding="utf-8"))["header"]["date"]
    done = reproduce(str(matrix), "--json")
    found = rows(done)
    assert [row["kept"] for row in found.values()] == [True, False]
    assert json.loads(first.read_text(encoding="utf-8"))["header"]["date"] == made
    assert "going on with the interrupted run" in done.stderr
    assert "after line 0" not in done.stderr
    assert int(client.count(index=found["vectors <b>"]["index"])["count"]) == 12_003


def second_index(client: OpenSearch, index_name: str, first: Path) -> int:
    """How many documents the other index took in than that of the first row."""
    stats = client.indices.stats(index=f"{index_name}-*", metric="indexing")["indices"]
    name = json.loads(first.read_text(encoding="utf-8"))["index"]["name"]
    return sum(body["primaries"]["indexing"]["index_total"] for index, body in stats.items() if index != name)
