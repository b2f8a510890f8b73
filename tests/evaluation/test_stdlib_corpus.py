from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.collection.stdlib_corpus import (
    MAX_CHARACTERS,
    MIN_CHARACTERS,
    write_stdlib_corpus,
)


def documents(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stdlib") / "corpus.jsonl"
    assert write_stdlib_corpus(path) == len(documents(path))
    return path


def test_the_whole_library(corpus: Path, tmp_path: Path) -> None:
    found = documents(corpus)
    assert 1500 <= len(found) <= 2400
    for document in found:
        assert set(document) == {"doc_id", "title", "text", "module", "kind"}
        assert MIN_CHARACTERS <= len(document["text"]) <= MAX_CHARACTERS
        assert not any(part.startswith("_") for part in document["doc_id"].split("."))
        assert not {"test", "tests", "idlelib"} & set(document["module"].split("."))
        assert document["doc_id"].startswith(document["module"])
    for field in ("doc_id", "text"):
        assert len({document[field] for document in found}) == len(found)
    by_id = {document["doc_id"]: document for document in found}
    assert by_id["subprocess.run"]["kind"] == "function"
    assert "capture" in by_id["subprocess.run"]["text"]
    assert by_id["json.dumps"]["title"].startswith("json.dumps(obj, skipkeys")
    assert by_id["json"]["kind"] == "module"

    again = tmp_path / "again.jsonl"
    write_stdlib_corpus(again)
    assert again.read_bytes() == corpus.read_bytes()


LONG = "Does a thing that takes a sentence to tell, and then some more words. " * 20


def library(folder: Path, files: dict[str, str]) -> Path:
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return folder


def test_what_is_taken_and_what_is_not(tmp_path: Path) -> None:
    raises = "raise SystemExit('a source is parsed, never run')"
    said = '"""{} does something that takes more than sixty characters to tell in full."""'
    source = "\n".join(
        [
            said.format("Module"),
            raises,
            f"class Box:\n  {said.format('Box')}\n  def open(self, key, /, *rest, deep=False, **more):",
            f"    {said.format('Open')}\n  def _hide(self):\n    {said.format('Hide')}",
            f"class _Secret:\n  {said.format('Secret')}\n  def show(self):\n    {said.format('Show')}",
            f'async def fetch(url): {said.format("Fetch")}\ndef brief(): "Too short."',
            f"def twin(): {said.format('Fetch')}\ndef long(): '''{LONG}'''",
        ]
    )
    folder = library(
        tmp_path / "lib",
        {
            "pkg/__init__.py": source,
            "pkg/_private.py": source,
            "test/test_pkg.py": source,
            "broken.py": "def (:\n",
            "odd.py": '"\\d" ' + said.format("Odd"),
        },
    )
    assert write_stdlib_corpus(tmp_path / "c.jsonl", library=folder) == 6
    by_id = {document["doc_id"]: document for document in documents(tmp_path / "c.jsonl")}
    assert list(by_id) == ["odd", "pkg", "pkg.Box", "pkg.Box.open", "pkg.fetch", "pkg.long"]
    assert by_id["pkg.Box.open"]["title"] == "pkg.Box.open(key, *rest, deep, **more)"
    assert by_id["pkg.Box.open"]["kind"] == "method"
    assert 400 < len(by_id["pkg.long"]["text"]) <= MAX_CHARACTERS
    assert by_id["pkg.long"]["text"].split() == LONG.split()[: len(by_id["pkg.long"]["text"].split())]


def test_the_bound_keeps_modules_then_functions_then_classes(tmp_path: Path) -> None:
    said = '"""{} does something that takes more than sixty characters to tell in full."""'
    source = (
        f"{said.format('A')}\nclass B:\n  {said.format('B')}\n  def c(self): {said.format('C')}\n"
        f"def d(): {said.format('D')}\n"
    )
    folder = library(tmp_path / "lib", {"a.py": source})
    for most, kept in enumerate((["a"], ["a", "a.d"], ["a", "a.B", "a.d"], ["a", "a.B", "a.B.c", "a.d"]), start=1):
        assert write_stdlib_corpus(tmp_path / "c.jsonl", most=most, library=folder) == most
        assert [document["doc_id"] for document in documents(tmp_path / "c.jsonl")] == kept


def test_a_folder_without_docstrings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no Python docstrings"):
        write_stdlib_corpus(tmp_path / "c.jsonl", library=tmp_path)
