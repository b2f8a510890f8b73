"""Every reader obeys the same contract: entries in order, digests that tell inputs apart, the same documents."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.readers import Reader, brings_vectors, open_reader
from opensearch_multivector.indexing.records import Layout, RejectedError

IDS = ["a", "b/ü", "c"]
ARRAYS = [np.arange(2 * n, dtype=np.float32).reshape(n, 2) + n for n in (1, 3, 2)]
READY = Layout(ready=True)


def documents(changed: bool = False) -> list[dict[str, Any]]:
    rows = [
        {"id": name, "text": f"text {name}", "vectors": array.tolist()} for name, array in zip(IDS, ARRAYS, strict=True)
    ]
    if changed:
        rows[1]["vectors"][0][0] += 0.5
    return rows


def as_jsonl(folder: Path, rows: list[dict[str, Any]]) -> Reader:
    path = folder / "docs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return open_reader(path, READY)


def as_gzip(folder: Path, rows: list[dict[str, Any]]) -> Reader:
    path = folder / "docs.json"  # told by its bytes, not by its name
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    return open_reader(path, READY)


def as_array(folder: Path, rows: list[dict[str, Any]]) -> Reader:
    path = folder / "docs.json"
    path.write_text(json.dumps(rows, indent=2))
    return open_reader(path, READY)


def as_objects(folder: Path, rows: list[dict[str, Any]]) -> Reader:
    path = folder / "docs.json.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps(row, indent=1) for row in rows).encode()))
    return open_reader(path, READY)


def as_folder(folder: Path, rows: list[dict[str, Any]]) -> Reader:
    """In Pyserini's three layouts, one file of each; what is hidden or no JSON is no part of it."""
    inside = folder / "collection"
    (inside / "more").mkdir(parents=True, exist_ok=True)
    (inside / "a.jsonl").write_text(json.dumps(rows[0]) + "\n")
    (inside / "b.json.gz").write_bytes(gzip.compress(json.dumps([rows[1]]).encode()))
    (inside / "more" / "c.json").write_text(json.dumps(rows[2], indent=4))
    (inside / ".d.json").write_text("{}\n")
    (inside / "README.md").write_text("{}\n")
    return open_reader(inside, READY)


def as_beir(folder: Path, rows: list[dict[str, Any]]) -> Reader:
    lines = [json.dumps({"_id": row["id"], "text": row["text"], "vectors": row["vectors"]}) for row in rows]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    return open_reader(folder, READY)


def as_npz(folder: Path, rows: list[dict[str, Any]]) -> Reader:
    path = folder / "docs.npz"
    np.savez(path, **{row["id"]: np.array(row["vectors"], np.float16) for row in rows})
    return open_reader(path, READY)


def as_npy(folder: Path, rows: list[dict[str, Any]]) -> Reader:
    write_npy(folder / "docs.npy", rows)
    (folder / "docs.ids.txt").write_text("\n".join(row["id"] for row in rows))
    return open_reader(folder / "docs.npy", READY)


def as_parquet(folder: Path, rows: list[dict[str, Any]]) -> Reader:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = folder / "docs.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=2)
    return open_reader(path, READY)


def as_joined_npz(folder: Path, rows: list[dict[str, Any]]) -> Reader:
    as_npz(folder, rows[::-1])
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"id": row["id"], "text": row["text"]}) + "\n" for row in rows))
    return open_reader(path, Layout(), folder / "docs.npz")


def as_joined_npy(folder: Path, rows: list[dict[str, Any]]) -> Reader:
    write_npy(folder / "docs.npy", rows)
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"id": row["id"], "text": row["text"]}) + "\n\n" for row in rows))
    return open_reader(path, Layout(), folder / "docs.npy")


def as_mappings(_: Path, rows: list[dict[str, Any]]) -> Reader:
    return open_reader([row | {"vectors": np.array(row["vectors"], np.float32)} for row in rows], READY)


def write_npy(path: Path, rows: list[dict[str, Any]]) -> None:
    np.save(path, np.concatenate([np.array(row["vectors"], np.float32) for row in rows]))
    np.save(path.with_suffix(".doclens.npy"), np.array([len(row["vectors"]) for row in rows]))


FORMATS = [
    as_jsonl,
    as_gzip,
    as_array,
    as_objects,
    as_folder,
    as_beir,
    as_npz,
    as_npy,
    as_parquet,
    as_joined_npz,
    as_joined_npy,
    as_mappings,
]


@pytest.mark.parametrize("write", FORMATS)
class TestContract:
    def test_gives_the_documents_in_order_and_again(
        self, write: Callable[[Path, list[dict[str, Any]]], Reader], tmp_path: Path
    ) -> None:
        reader = write(tmp_path, documents())
        assert reader.ready
        assert reader.rewindable
        entries = list(reader.entries())
        assert [entry.line for entry in entries] == sorted({entry.line for entry in entries})
        records = [reader.parse(entry) for entry in entries]
        assert [record.doc_id for record in records] == IDS
        for record, array in zip(records, ARRAYS, strict=True):
            assert record.vectors is not None
            assert record.vectors.dtype == np.float32
            np.testing.assert_array_equal(record.vectors, array)
        again = list(reader.entries())
        assert [entry.digest for entry in again] == [entry.digest for entry in entries]
        assert reader.size is not None
        assert 0 < entries[0].consumed <= entries[-1].consumed <= reader.size
        assert all(isinstance(reader.show(entry), str) for entry in entries)

    def test_digest_tells_a_changed_input_from_where_it_changed(
        self, write: Callable[[Path, list[dict[str, Any]]], Reader], tmp_path: Path
    ) -> None:
        before = [entry.digest for entry in write(tmp_path, documents()).entries()]
        after = [entry.digest for entry in write(tmp_path, documents(changed=True)).entries()]
        assert before[1:] != after[1:]
        assert before[2] != after[2]


def test_standard_input_can_be_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = "".join(json.dumps(row) + "\r\n" for row in documents()).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(gzip.compress(data)))))
    reader = open_reader("-", READY)
    assert not reader.rewindable
    assert [reader.parse(entry).doc_id for entry in reader.entries()] == IDS


def test_options_are_part_of_the_digest(tmp_path: Path) -> None:
    as_jsonl(tmp_path, documents())
    path = tmp_path / "docs.jsonl"
    assert open_reader(path, Layout()).seed != open_reader(path, Layout(text_field="body")).seed


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nope", "not JSON"),
        (b'{"id": "a", "text": "x"', "not JSON"),
        (b'["a"]', "not a JSON object"),
        (b'"a"', "not a JSON object"),
        (b'{"id": "a", "text": "\xff"}', "invalid UTF-8 at byte 22"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"id": "a", "n": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"id": "a", "text": "' + b"x" * 10_000_000 + b'"}', "10,000,024 bytes long, more than the 5,000,000"),
    ],
)
def test_bad_lines_leave_their_neighbours_alone(line: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": 1, "text": "x"}\n\n' + line + b'\n{"id": 2, "text": "y"}')
    reader = open_reader(path, Layout())
    first, bad, last = reader.entries()
    assert [first.line, bad.line, last.line] == [1, 3, 4]
    assert reader.parse(first).doc_id == "1"
    assert reader.parse(last).doc_id == "2"
    with pytest.raises(RejectedError, match=reason):
        reader.parse(bad)
    assert len(reader.show(bad)) < 200_000


def test_a_record_of_exactly_the_limit_passes(tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl"
    for ending in ("\n", "\r\n", ""):
        path.write_bytes((json.dumps({"id": "a", "text": "x" * 75}) + ending).encode())
        reader = open_reader(path, Layout(max_bytes=98))
        (entry,) = reader.entries()
        assert entry.raw.length == 98
        assert reader.parse(entry).doc_id == "a"
        reader = open_reader(path, Layout(max_bytes=97))
        (entry,) = reader.entries()
        with pytest.raises(RejectedError, match="bytes long, more than the 97"):
            reader.parse(entry)


def test_cut_gzip_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl.gz"
    rng = np.random.default_rng(0)
    data = "".join(json.dumps({"id": i, "text": str(rng.normal(size=50))}) + "\n" for i in range(200)).encode()
    path.write_bytes(gzip.compress(data)[:-5_000])
    seen = []
    with pytest.raises(InputError, match=r"docs.jsonl.gz: gzip data is broken after line \d\d"):
        seen += [entry.line for entry in open_reader(path, Layout()).entries()]


def test_vectors_of_some_documents_only(tmp_path: Path) -> None:
    as_joined_npz(tmp_path, documents()[:2])
    path = tmp_path / "texts.jsonl"
    path.write_text(path.read_text() + json.dumps({"id": "new", "text": "x"}) + "\n")
    reader = open_reader(path, Layout(), tmp_path / "docs.npz")
    *_, last = reader.entries()
    with pytest.raises(RejectedError, match="no array named 'new'"):
        reader.parse(last)


def test_positions_must_agree(tmp_path: Path) -> None:
    as_joined_npy(tmp_path, documents())
    path = tmp_path / "texts.jsonl"
    lines = path.read_text()
    path.write_text(lines + json.dumps({"id": "new", "text": "x"}) + "\n")
    reader = open_reader(path, Layout(), tmp_path / "docs.npy")
    with pytest.raises(RejectedError, match="vectors of 3 documents only"):
        reader.parse(list(reader.entries())[-1])
    path.write_text(lines.split("\n\n")[0])
    with pytest.raises(InputError, match="has 1 documents but the vector file 3"):
        list(open_reader(path, Layout(), tmp_path / "docs.npy").entries())
    np.save(tmp_path / "docs.doclens.npy", np.array([1, 3]))
    with pytest.raises(InputError, match="sums to 4 tokens"):
        open_reader(path, Layout(), tmp_path / "docs.npy")


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "docs.npz", a=np.array([[1.0], [2.0, 3.0]], dtype=object))
    reader = open_reader(tmp_path / "docs.npz", READY)
    with pytest.raises(RejectedError, match=r"'a' in docs\.npz can't be read"):
        reader.parse(next(reader.entries()))


def test_parquet_rows_of_differing_length(tmp_path: Path) -> None:
    rows = documents()
    rows[1]["vectors"] = [[1.0, 2.0], [3.0]]
    rows[2]["vectors"] = None
    reader = as_parquet(tmp_path, rows)
    first, ragged, empty = reader.entries()
    assert reader.parse(first).doc_id == "a"
    with pytest.raises(RejectedError, match="differ in length"):
        reader.parse(ragged)
    with pytest.raises(RejectedError, match="column 'vectors' is empty"):
        reader.parse(empty)


def test_a_folder_names_the_file_and_line_of_a_bad_record(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "text": "x"}\n')
    (tmp_path / "b.jsonl").write_text('{"id": 2, "text": "y"}\nnope\n')
    (tmp_path / "c.json").write_text('[{"id": 3, "text": "z"}, 5]')
    reader = open_reader(tmp_path, Layout())
    entries = list(reader.entries())
    assert [entry.line for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.consumed for entry in entries[:3]] == [23, 46, 51]
    with pytest.raises(RejectedError, match=r"^b\.jsonl:2: not JSON"):
        reader.parse(entries[2])
    with pytest.raises(RejectedError, match=r"^c\.json:2: not a JSON object"):
        reader.parse(entries[4])
    assert [reader.show(entry) for entry in entries[2:]] == ["nope", '{"id": 3, "text": "z"}', "5"]


def test_objects_larger_than_what_is_read_at_once(tmp_path: Path) -> None:
    texts = ['é"' * 100_000, "", "x" * 65_536, "\U0001f41d" * 40_000]
    path = tmp_path / "docs.json"
    path.write_text("[" + " , ".join(json.dumps({"id": i, "text": text}) for i, text in enumerate(texts)) + "]\n")
    assert [entry.raw["text"] for entry in open_reader(path, Layout()).entries()] == texts
    # A number with its first digit at the end of what is read, and the others behind.
    path.write_text('["' + "x" * 65_530 + '", 12345]')
    assert [entry.raw for entry in open_reader(path, Layout()).entries()][1:] == [12345]


@pytest.mark.parametrize(
    ("text", "found", "line", "reason"),
    [
        ('[\n{"id": 1},\n{"id": }\n]', 1, 3, "not JSON: Expecting value"),
        ('[\n{"id": 1}\n{"id": 2}]', 1, 3, "a comma is missing before '{'"),
        ('[\n{"id": 1},\n', 1, 3, "not JSON"),
        ('[\n{"id": 1}\n', 1, 3, "the array has no end"),
        ('[{"id": 1}]\n[{"id": 2}]', 1, 2, "'\\[' behind the end of the array"),
        ('{\n"id": 1\n}\n{\n"id": 2', 1, 5, "not JSON"),
        ('{\n"text": "' + "x" * 70_000 + '"}', 0, 1, "no object of at most 100 bytes starts here"),
    ],
)
def test_broken_json_over_several_lines_names_the_line(
    text: str, found: int, line: int, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "docs.json"
    path.write_text(text)
    entries = open_reader(path, Layout(max_bytes=100)).entries()
    assert len([next(entries) for _ in range(found)]) == found
    with pytest.raises(InputError, match=rf"docs\.json:{line}: {reason}"):
        list(entries)


def test_an_empty_array_has_no_documents(tmp_path: Path) -> None:
    for text in ("[]", " [ ]\n", ""):
        (tmp_path / "docs.json").write_text(text)
        assert list(open_reader(tmp_path / "docs.json", Layout()).entries()) == []


def test_vectors_from_a_file_go_with_lines_only(tmp_path: Path) -> None:
    as_npz(tmp_path, documents())
    as_folder(tmp_path, documents())
    as_array(tmp_path, documents())
    for path in (tmp_path / "collection", tmp_path / "docs.json"):
        with pytest.raises(InputError, match="--vectors goes with JSON lines"):
            open_reader(path, Layout(), tmp_path / "docs.npz")


def test_inputs_that_are_no_documents(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_reader(tmp_path / "none.jsonl", Layout())
    with pytest.raises(InputError, match="no BEIR folder"):
        open_reader(tmp_path, Layout())
    (tmp_path / "beir").mkdir()
    (tmp_path / "beir" / "queries.jsonl").write_text('{"_id": "q", "text": "x"}\n')
    with pytest.raises(InputError, match="no BEIR folder"):
        open_reader(tmp_path / "beir", Layout())
    for name, content in {"a.csv": b"x", "a.npz": b"x", "a.npy": b"x", "a.parquet": b"x"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=r"known format|no readable|can't be read|no array"):
            open_reader(tmp_path / name, READY)


def test_ready_vectors_are_noticed(tmp_path: Path) -> None:
    as_jsonl(tmp_path, documents())
    as_npz(tmp_path, documents())
    as_parquet(tmp_path, documents())
    for name in ("docs.jsonl", "docs.npz", "docs.parquet"):
        assert brings_vectors(tmp_path / name, Layout())
    (tmp_path / "texts.jsonl").write_text('broken\n{"id": 1, "text": "x"}\n')
    assert not brings_vectors(tmp_path / "texts.jsonl", Layout())
    assert not brings_vectors("-", Layout())
