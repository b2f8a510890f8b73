from __future__ import annotations

import json
from pathlib import Path

import pytest

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.dead_letters import DeadLetters, Rejection


def write(path: Path, *lines: int) -> None:
    letters = DeadLetters(path, keep_to_line=10**9)
    for line in lines:
        letters.write(Rejection(line, f"d{line}", "because"), "half a pair: \ud800")
    letters.close()


def lines_in(path: Path) -> list[int]:
    return [json.loads(text)["line"] for text in path.read_text().splitlines()]


def test_entries_beyond_the_watermark_and_a_torn_one_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    write(path, 3, 1, 9, 4)
    torn = path.read_bytes() + b'{"line": 2, "doc'
    for cut in (len(torn), len(torn) - 8, len(torn) - 15):
        path.write_bytes(torn[:cut])
        letters = DeadLetters(path, keep_to_line=4)
        letters.write(Rejection(5, None, "because"), "x")
        letters.close()
        assert lines_in(path) == [3, 1, 4, 5]
    assert json.loads(path.read_text().splitlines()[0]) == {
        "line": 3,
        "doc_id": "d3",
        "reason": "because",
        "source": "half a pair: \ud800",
    }


def test_a_new_run_leaves_no_file_behind_where_nothing_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    write(path, 1, 2)
    DeadLetters(path).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["precious", "precious\n", '{"id": 1}\n', '{"line": 1, "reason": ""}\nprecious\n'])
def test_what_is_not_ours_stays(content: str, tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match="something other than dead letters"):
        DeadLetters(path)
    assert path.read_text() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"can't be written to .*: no such folder"):
        DeadLetters(tmp_path / "none" / "dead.jsonl")


def test_says_where_and_why() -> None:
    assert str(Rejection(7, "a", "text is empty")) == "line 7 (document 'a'): text is empty"
    assert str(Rejection(7, None, "not JSON")) == "line 7: not JSON"
