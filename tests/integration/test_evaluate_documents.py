"""`osmv eval` over documents of any form, which it indexes itself; an index made once of files or of a data set."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch
from osmv_here import Ran, osmv

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.collection.corpus_index import Corpus, index_corpus
from opensearch_multivector.evaluation.provenance import sha256
from opensearch_multivector.indexing import Bm25Parameters
from opensearch_multivector.plugin.mapping import read_spec
from opensearch_multivector.plugin.sub_fields import Slim
from opensearch_multivector.queries.searcher import Searcher

pytest.importorskip("ir_measures")

pytestmark = pytest.mark.integration

LINES: list[dict[str, Any]] = [
    {"id": "7", "contents": "Bees dance.", "vector": {"bee": 122, "dance": 255}},
    {"id": "8", "contents": "The hive's queen", "vector": {"hive": 90, "bee": 31}},
    {"id": "9", "contents": "Birds fly south.", "vector": {"bird": 140, "south": 99}},
]


@pytest.fixture
def folder(tmp_path: Path, index_name: str, client: OpenSearch) -> Path:
    """Documents in two files of Pyserini's form, with topics and judgements beside them."""
    folder = tmp_path / index_name
    folder.mkdir()
    (folder / "docs00.json").write_text(json.dumps(LINES[:2]))
    (folder / "docs01.jsonl").write_text(json.dumps(LINES[2]) + "\n")
    (tmp_path / "topics.tsv").write_text("1\tdancing bees\n2\twhere do birds fly?\n")
    (tmp_path / "qrels.txt").write_text("1 0 7 1\n2 0 9 1\n")
    return folder


def evaluate(url: str, folder: Path, *options: str) -> Ran:
    files = ["--topics", "topics.tsv", "--qrels", "qrels.txt", "--text-field", "contents", "--measure", "RR@10"]
    return osmv("eval", *options, "--url", url, *files, cwd=folder.parent)


def indices(client: OpenSearch, folder: Path) -> set[str]:
    return set(client.indices.get(index=f"{folder.name}*"))


def test_a_folder_of_files_without_vectors(client: OpenSearch, node_url: str, folder: Path) -> None:
    options = (folder.name, "--no-vectors", "--terms-field", "vector", "--sub-field", "slim:keep=true")
    bm25 = ("--bm25-k1", "0.9", "--bm25-b", "0.4", "--analyzer", "english")
    done = evaluate(node_url, folder, *options, *bm25, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    # Without vectors the configuration by default is BM25 alone.
    assert [(each["name"], each["measures"]) for each in figures["configurations"]] == [("bm25", {"RR@10": 1.0})]
    (index,) = indices(client, folder)
    assert figures["index"] == index
    spec = read_spec(client, index)
    assert (spec.vectors, spec.sub_fields, spec.text_fields) == (None, (Slim(keep=True),), ("title", "contents"))
    header = json.loads((folder.parent / "runs" / "bm25.run.json").read_text())
    settings = header["index"]["settings"][index]["similarity"]["default"]
    assert (settings["k1"], settings["b"]) == ("0.9", "0.4")
    each = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("docs00.json", "docs01.jsonl")]
    corpus = {"file": folder.name, "sha256": hashlib.sha256("".join(each).encode()).hexdigest()}
    assert header["collection"]["files"]["corpus"] == corpus

    # Other parameters make another index, the same ones none.
    assert evaluate(node_url, folder, *options, *bm25).returncode == 0
    assert indices(client, folder) == {index}
    assert evaluate(node_url, folder, *options, "--bm25-k1", "0.9").returncode == 0
    assert len(indices(client, folder)) == 2


def test_one_file_encoded_here(client: OpenSearch, node_url: str, folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    file = folder.with_suffix(".json")
    file.write_text(json.dumps([{key: line[key] for key in ("id", "contents")} for line in LINES]))
    done = evaluate(
        node_url, folder, file.name, "--config", "dense/client", "--encoder", "all-MiniLM-L6-v2-int8", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["configurations"][0]["measures"] == {"RR@10": 1.0}
    header = json.loads((folder.parent / "runs" / "dense.client.run.json").read_text())
    assert header["collection"]["files"]["corpus"] == {"file": file.name, "sha256": sha256(file)}


def test_hints_and_refusals(client: OpenSearch, node_url: str, folder: Path) -> None:
    done = evaluate(node_url, folder, folder.name, "--no-vectors")
    assert done.returncode == 0, done.stderr
    assert "term weights in 'vector', for --terms-field vector" in " ".join(done.stderr.split())
    for options, reason in (
        (("--no-vectors", "--codec", "int4"), "no use for --codec"),
        (("--no-vectors", "--config", "dense"), "sub-field 'dense' is made by the token vectors' encoder"),
    ):
        refused = evaluate(node_url, folder, folder.name, *options)
        assert (refused.returncode, reason in " ".join(refused.stderr.split())) == (2, True), refused.stderr


def test_documents_that_are_no_file(client: OpenSearch, index_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def records() -> Iterator[Mapping[str, Any]]:
        nonlocal read
        for line in LINES:
            read += 1
            yield {"_id": line["id"], "text": line["contents"]}

    def indexed(identity: str = "three lines", **options: Any) -> str:
        usual: dict[str, Any] = {"encoder": None, "no_vectors": True}
        return index_corpus(client, index_name, Corpus(identity, records), **(usual | options))

    first = indexed()
    assert re.fullmatch(f"{index_name}-[0-9a-f]{{8}}", first)
    (hit,) = Searcher(client, first).search("birds", first_stage="bm25").hits
    assert hit.doc_id == "9"
    before = read
    assert indexed() == first
    assert read == before
    others = {indexed("three other lines"), indexed(bm25=Bm25Parameters(0.9, 0.4)), indexed(analyzer="standard")}
    assert len(others | {first}) == 4


def test_an_index_of_no_file_is_gone_on_with(client: OpenSearch, index_name: str) -> None:
    broken = True

    def records() -> Iterator[Mapping[str, Any]]:
        for number in range(1300):
            if broken and number == 1200:
                raise InputError("the network is gone")
            yield {"_id": f"d{number}", "text": f"word{number}"}

    said: list[str] = []

    def indexed() -> str:
        corpus = Corpus("words", records)
        return index_corpus(client, index_name, corpus, encoder=None, no_vectors=True, message=said.append)

    with pytest.raises(InputError, match="the network is gone") as raised:
        indexed()
    done = int(re.findall(r"\(([\d,]+) documents are done", str(raised.value))[0].replace(",", ""))
    assert 500 <= done <= 1200
    broken = False
    index = indexed()
    assert f"after line {done:,}" in said[0]
    stats = client.indices.stats(index=index, metric="indexing,docs")["indices"][index]["primaries"]
    # None was written twice.
    assert (stats["docs"]["count"], stats["indexing"]["index_total"]) == (1300, 1300)


def test_a_folders_index_is_of_all_its_files(client: OpenSearch, folder: Path) -> None:
    def indexed() -> str:
        return index_corpus(client, folder.name, folder / "deep", encoder=None, no_vectors=True)

    (folder / "deep" / "er").mkdir(parents=True)
    for name in ("a.json", "er/b.jsonl"):
        (folder / "deep" / name).write_text(json.dumps({"id": name, "text": name}))
    first = indexed()
    (folder / "deep" / "notes.txt").write_text("no documents")
    assert indexed() == first
    (folder / "deep" / "er" / "b.jsonl").write_text(json.dumps({"id": "b", "text": "another"}))
    second = indexed()
    assert second != first
    assert [int(client.count(index=index)["count"]) for index in (first, second)] == [2, 2]
