"""Pyserini in a process of its own, started once for all tests that compare with it."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch
from pyserini_process import Pyserini
from rankings import Run

from opensearch_multivector.evaluation.collection.beir import Collection, read_collection
from opensearch_multivector.evaluation.collection.pyserini_names import installed, java_home
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.plugin.mapping import Bm25Parameters
from opensearch_multivector.queries.searcher import Searcher

K1, B = 0.9, 0.4  # Pyserini's default
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def pyserini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pyserini]:
    if not installed():
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


@pytest.fixture(scope="session")
def collection(scifact: Path) -> Collection:
    return read_collection(scifact)


@pytest.fixture(scope="session")
def pyserini_bm25_file(pyserini: Pyserini) -> Path:
    """The run of `pyserini_bm25` as Pyserini writes it."""
    return pyserini.folder / "bm25.trec"


@pytest.fixture(scope="session")
def pyserini_bm25(pyserini: Pyserini, collection: Collection, scifact_corpus: Path, pyserini_bm25_file: Path) -> Run:
    """BM25 over SciFact, 100 hits a topic."""
    folder = pyserini.index("bm25", "BeirFlatCollection", scifact_corpus)
    parameters = {"k1": K1, "b": B, "k": 100, "out": pyserini_bm25_file}
    run: Run = pyserini("bm25", folder=folder, topics=collection.topics, **parameters)
    return run


@pytest.fixture(scope="session")
def bm25_index(client: OpenSearch, scifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """SciFact with Pyserini's parameters."""
    index = "osmv-test-pyserini-bm25"
    client.indices.delete(index=index, ignore_unavailable=True)
    summary = index_documents(
        client,
        index,
        scifact,
        encoder=None,
        no_vectors=True,
        sub_fields=(),
        bm25=Bm25Parameters(K1, B),
        dead_letters=tmp_path_factory.mktemp("bm25") / "dead.jsonl",
    )
    assert (summary.indexed, summary.rejected) == (5183, 0)
    yield index
    client.indices.delete(index=index, ignore_unavailable=True)


@pytest.fixture(scope="session")
def bm25_run(client: OpenSearch, bm25_index: str, collection: Collection) -> Run:
    """Our 200 hits a topic, as they come."""
    options = {"first_stage": "bm25", "rerank": None, "size": 200, "window_size": 200, "source": False}
    results = Searcher(client, bm25_index).search_many(list(collection.topics.values()), **options)
    return {
        name: [(hit.doc_id, hit.score) for hit in result.hits]
        for name, result in zip(collection.topics, results, strict=True)
    }
