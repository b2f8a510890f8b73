"""Pyserini in a process of its own, started once for all tests that compare with it."""

from __future__ import annotations

import gzip
import importlib.metadata
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyserini_process import Pyserini, java_home

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def pyserini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pyserini]:
    try:
        importlib.metadata.version("pyserini")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the extra pyserini is not installed")
    home = java_home()
    if home is None:
        pytest.skip("Pyserini needs a Java 21 or newer with jdk.incubator.vector: set JAVA_HOME to one")
    started = Pyserini(home, tmp_path_factory.mktemp("pyserini"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def scifact() -> Path:
    folder = DATA / "scifact"
    if not folder.is_dir():
        pytest.skip(f"SciFact is not at {folder}")
    return folder


@pytest.fixture(scope="session")
def scifact_corpus(scifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with SciFact's corpus as the only file, since Pyserini reads all there is."""
    folder = tmp_path_factory.mktemp("scifact")
    with gzip.open(scifact / "corpus.jsonl.gz") as packed, (folder / "corpus.jsonl").open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    return folder
