"""What is said of documents whose fields the options leave unused."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from opensearch_multivector.indexing import Layout
from opensearch_multivector.indexing.hints import hint
from opensearch_multivector.indexing.readers import open_reader

IMPACT = {"id": "7", "contents": "Bees dance.", "vector": {"bee": 122, "dance": 255}}
DENSE = {"id": "7", "contents": "Bees dance.", "vector": [0.5, 1, -2.0]}
TEXT = Layout(text_field="contents")


def said(documents: Any, layout: Layout) -> str:
    reader = open_reader(documents, layout)
    (entry,) = islice(reader.entries(), 1)
    return hint(reader, entry, layout) or ""


@pytest.mark.parametrize(
    ("document", "layout", "expected"),
    [
        (IMPACT, TEXT, ["--terms-field vector (else each term becomes a field)"]),
        (IMPACT, Layout(), ["--text-field contents and term weights", "--terms-field vector"]),
        (DENSE, TEXT, ["--pooled-field vector --sub-field dense:dim=3"]),
        (DENSE, Layout(), ["--text-field contents and a pooled vector", "dense:dim=3"]),
        (IMPACT, Layout(text_field="contents", terms_field="vector"), []),
        (DENSE, Layout(text_field="contents", pooled_field="vector"), []),
        ({"id": "7", "text": "Bees", "vector": [[1.0, 2.0]]}, Layout(vectors_field="vector", ready=True), []),
        ({"id": "7", "text": "Bees", "vector": {"colour": "red"}}, Layout(), []),
        ({"id": "7", "text": "Bees", "vector": {}, "contents": "of a box"}, Layout(), []),
        ("no mapping", Layout(), []),
    ],
)
def test_what_is_said(document: Any, layout: Layout, expected: list[str]) -> None:
    sentence = said([document], layout)
    assert bool(sentence) == bool(expected), sentence
    assert all(part in sentence for part in expected), sentence


def test_of_files_too(tmp_path: Path) -> None:
    (tmp_path / "docs.json").write_text('[{"id": "7", "contents": "Bees", "vector": {"bee": 1}}]')
    assert "--terms-field" in said(tmp_path, TEXT)
    (tmp_path / "docs.json").write_text("broken")
    assert said(tmp_path, TEXT) == ""
