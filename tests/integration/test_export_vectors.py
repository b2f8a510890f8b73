"""What is exported is indexed again as it was."""

from __future__ import annotations

import base64
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from ready_documents import blob, document, load

from opensearch_multivector.cli.main import run
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.indexing import Layout
from opensearch_multivector.indexing.export import export_vectors
from opensearch_multivector.plugin.sub_fields import Dense, Slim
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

TERMS = ["bee", "v1.2", "", "##ing", "․", "dance"]


def documents(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    return [
        document(number, lang="en", vector={term: float(rng.integers(1, 512)) for term in rng.choice(TERMS, 3, False)})
        for number in range(count)
    ]


def lines(path: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def scores(client: OpenSearch, index: str) -> dict[str, float]:
    query = EncodedQuery(terms=QueryTerms.ready({"bee": 2, "v1.2": 1, "․": 3, "": 1}))
    hits = Searcher(client, index).search(query, first_stage="slim", rerank=None, size=200, window_size=200).hits
    return {hit.doc_id: hit.score for hit in hits}


def test_term_weights_come_back_as_a_json_vector_collection(
    client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    given = documents(130)
    given[7]["vector"] = {}
    layout = Layout(terms_field="vector")
    load(client, index_name, given, layout=layout, sub_fields=(Slim(keep=True), Dense()))
    reports: list[tuple[int, int]] = []
    done = export_vectors(
        client,
        index_name,
        tmp_path / "out",
        "JsonVectorCollection",
        progress=lambda done, total: reports.append((done, total)),
    )
    assert (done.documents, done.without, done.unreadable, done.fractions) == (129, 1, 0, False)
    assert reports == [(100, 130), (130, 130)]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{index_name}.jsonl"]
    written = {line["id"]: line for line in lines(done.file)}
    assert written["d3"] == {"id": "d3", "contents": "t3 word3", "vector": given[3]["vector"]}
    assert all(isinstance(weight, int) for line in written.values() for weight in line["vector"].values())

    again = [row | {"vectors": given[int(row["id"][1:])]["vectors"]} for row in written.values()]
    load(client, f"{index_name}-2", again, layout=Layout(terms_field="vector", text_field="contents"))
    assert scores(client, f"{index_name}-2") == scores(client, index_name)


def test_weights_are_scaled_to_whole_numbers(client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    given = [document(1, vector={"bee": 1.236, "dance": 0.004, "hive": 2})]
    load(client, index_name, given, layout=Layout(terms_field="vector"), sub_fields=(Slim(keep=True),))
    exact = export_vectors(client, index_name, tmp_path, "JsonVectorCollection")
    assert exact.fractions
    assert lines(exact.file)[0]["vector"] == {"hive": 2, "bee": 1.236, "dance": 0.004}
    scaled = export_vectors(client, index_name, tmp_path, "JsonVectorCollection", scale=100)
    assert not scaled.fractions
    assert lines(scaled.file)[0]["vector"] == {"hive": 200, "bee": 124}


@pytest.mark.parametrize("form", ["jsonl", "npz"])
@pytest.mark.parametrize("codec", ["f32", "int8"])
def test_token_vectors_come_back(client: OpenSearch, index_name: str, tmp_path: Path, form: str, codec: str) -> None:
    load(client, index_name, [document(number) for number in range(5)], codec=codec)
    client.index(index=index_name, id="bare", body={"text": "no vectors"}, refresh=True)
    done = export_vectors(client, index_name, tmp_path, form)
    assert (done.documents, done.without) == (5, 1)
    load(client, f"{index_name}-2", Path(done.file), codec="f32", layout=Layout(id_field="_id", ready=True))
    for number in range(5):
        stored = blob(client, index_name, f"d{number}")
        np.testing.assert_array_equal(blob(client, f"{index_name}-2", f"d{number}"), stored)
    if form == "jsonl":
        assert {name: lines(done.file)[0][name] for name in ("_id", "title", "text")} == {
            "_id": "d0",
            "title": "t0",
            "text": "word0",
        }
    else:
        # Whenever it was made, so that equal vectors give equal archives.
        with zipfile.ZipFile(done.file) as archive:
            assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_damaged_document_is_left_out_and_named(
    client: OpenSearch, node_url: str, index_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    load(client, index_name, [document(number) for number in range(3)])
    damaged = {"mv.vectors": base64.b64encode(b"no blob at all").decode()}
    client.index(index=index_name, id="broken", body=damaged, refresh=True)
    monkeypatch.chdir(tmp_path)
    arguments = ["osmv", "export-vectors", index_name, "--url", node_url, "--out", "out", "--format", "npz", "--json"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        run()
    captured = capsys.readouterr()
    assert ended.value.code == 1
    figures = json.loads(captured.out)
    assert (figures["documents"], figures["unreadable"], figures["damaged"]) == (3, 1, ["broken"])
    assert "1 documents have damaged vectors and were left out: broken" in captured.err
    with np.load(tmp_path / figures["file"]) as archive:
        assert sorted(archive) == ["d0", "d1", "d2"]


def test_an_export_that_ends_early_leaves_the_file_that_was_there(
    client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    load(client, index_name, [document(number) for number in range(101)])
    before = tmp_path / f"{index_name}.npz"
    before.write_bytes(b"before")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_vectors(client, index_name, tmp_path, "npz", progress=stop)
    assert list(tmp_path.iterdir()) == [before]
    assert before.read_bytes() == b"before"


def test_what_cannot_be_exported_is_said_before_anything_is_written(
    client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    given = documents(2)
    load(client, index_name, given, layout=Layout(terms_field="vector"))
    out = tmp_path / "out"
    with pytest.raises(MismatchError, match="slim:keep=true"):
        export_vectors(client, index_name, out, "JsonVectorCollection")
    load(client, f"{index_name}-2", [document(1)])
    with pytest.raises(MismatchError, match=r"the export of term weights needs mv\.slim"):
        export_vectors(client, f"{index_name}-2", out, "JsonVectorCollection")
    for form, scale, reason in (("csv", None, "unknown format"), ("npz", 2.0, "a scale is for"), ("npz", -1, "scale")):
        with pytest.raises(InputError, match=reason):
            export_vectors(client, index_name, out, form, scale=scale)
    with pytest.raises(InputError, match="above 0, not -1"):
        export_vectors(client, index_name, out, "JsonVectorCollection", scale=-1)
    assert not list(tmp_path.rglob("*.*"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        export_vectors(client, index_name, tmp_path / "file", "npz")
