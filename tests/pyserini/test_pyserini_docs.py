"""The call site that docs/pyserini.md changes prints the same before, with Pyserini, and after, with OpenSearch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_under_test import RELEASE
from opensearchpy import OpenSearch
from pyserini_process import Pyserini

pytestmark = pytest.mark.integration

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pyserini.md"
INDEX = "articles"


def block(language: str) -> str:
    """The page's first block in that language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found, language
    return found[1]


def side(sign: str) -> str:
    lines = [line for line in block("diff").splitlines() if line[:1] in ("", " ", sign)]
    return "\n".join(line[1:] for line in lines)


@pytest.fixture
def indexed(client: OpenSearch, node_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which the page's first commands ran."""
    assert not client.indices.exists(index=INDEX), f"index {INDEX!r} is there: delete it or use another cluster"
    monkeypatch.setenv("OSMV_URL", node_url)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    subprocess.run(["bash", "-euo", "pipefail", "-c", block("bash")], cwd=tmp_path, check=True, capture_output=True)
    yield tmp_path
    client.indices.delete(index=INDEX, ignore_unavailable=True)


def test_both_sides_of_the_diff_print_the_same(pyserini: Pyserini, indexed: Path) -> None:
    before, after = side("-"), side("+")
    assert "LuceneSearcher" in before
    assert "BM25Searcher" in after
    pyserini.index("indexes/collection", "JsonCollection", indexed / "collection")
    printed = pyserini("execute", code=before)
    assert printed.splitlines()[0].split()[:4] == ["q1", "Q0", "ants", "1"]
    ours = subprocess.run([sys.executable, "-c", after], cwd=indexed, check=True, capture_output=True, text=True)
    if RELEASE >= (3, 0):
        assert ours.stdout == printed
        return
    # Scores have the factor k1 + 1 there, as the page says.
    for mine, theirs in zip(ours.stdout.splitlines(), printed.splitlines(), strict=True):
        *line, score, tag = mine.split()
        *expected_line, expected, expected_tag = theirs.split()
        assert (line, tag) == (expected_line, expected_tag)
        assert float(score) == pytest.approx(1.9 * float(expected), abs=0.002)
