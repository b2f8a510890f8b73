from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.provenance import hashes, header_path, read_header, write_header


@pytest.mark.parametrize("name", ["dense.client.trec", "dense.client.trec.gz", "dense.client.run", "dense.client"])
def test_the_header_lies_beside_the_run(name: str) -> None:
    assert header_path(Path("runs") / name) == Path("runs/dense.client.run.json")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    run = tmp_path / "dense.trec"
    run.write_bytes(b"1 Q0 a 1 2 dense\n")
    write_header(run, {"name": "dense", "search": {"size": 10}})
    header = read_header(run)
    assert header is not None
    assert header["run"] == {"file": "dense.trec", "sha256": hashlib.sha256(b"1 Q0 a 1 2 dense\n").hexdigest()}
    assert (header["name"], header["search"]) == ("dense", {"size": 10})
    assert {"osmv", "python", "numpy", "opensearch-py"} <= header["versions"].keys()
    assert header["date"].endswith("+00:00")
    # It is not the header of other runs that lie beside.
    assert [read_header(tmp_path / name) for name in ("dense.trec.gz", "dense.tsv", "other.trec")] == [None] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n oops", r"a\.run\.json:2: not JSON"),
        ("[1]", r"a\.run\.json: no header"),
        ('{"format_version": 2}', "version 1"),
    ],
)
def test_what_is_no_header_is_said(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.run.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_header(tmp_path / "a.trec")


def test_hashes_are_of_the_files_as_they_lie(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2's example
    assert hashes({"topics": tmp_path / "t.jsonl"}) == {"topics": {"file": "t.jsonl", "sha256": digest}}
    with pytest.raises(InputError, match=r"none\.jsonl: can't be read"):
        hashes({"topics": tmp_path / "none.jsonl"})


def test_a_header_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.trec").write_text("")
    (tmp_path / "a.run.json").mkdir()
    with pytest.raises(InputError, match=r"a\.run\.json: can't be written"):
        write_header(tmp_path / "a.trec", {})


def test_the_header_is_json_for_people(tmp_path: Path) -> None:
    (tmp_path / "a.trec").write_text("")
    text = write_header(tmp_path / "a.trec", {"name": "Größe"}).read_text(encoding="utf-8")
    assert '\n  "name": "Größe"' in text
    assert json.loads(text)["format_version"] == 1
