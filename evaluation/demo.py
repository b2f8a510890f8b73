"""What `osmv demo` shows: LIMIT, and a search over documents that every machine has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders import MINILM_INT8, load_encoder, load_term_encoder
from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.evaluation.collection.beir import read_collection
from opensearch_multivector.evaluation.collection.corpus_index import index_corpus
from opensearch_multivector.evaluation.collection.limit import generate_limit
from opensearch_multivector.evaluation.collection.stdlib_corpus import write_stdlib_corpus
from opensearch_multivector.evaluation.evaluate import Configuration, Evaluation, Progress, evaluate
from opensearch_multivector.indexing import Layout
from opensearch_multivector.indexing import Progress as IndexProgress
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.searcher import Searcher

ONE_VECTOR, LATE_INTERACTION, SLIM = "dense", "dense/client", "slim"
ROWS = {"bm25": "BM25", ONE_VECTOR: "one vector", SLIM: "SLIM", LATE_INTERACTION: "late interaction"}
QUESTIONS = (
    "how do I run a command and capture its output?",
    "choose several different members of a list at random",
    "show what changed between two texts, line by line",
    "delete a folder and everything inside it",
)


@dataclass(frozen=True, slots=True)
class Encoders:
    """The models of a demo. ``light``: the int8 ONNX form, and no SLIM terms, so that no torch is needed."""

    vectors: Encoder
    terms: TermEncoder | None

    @classmethod
    def load(cls, light: bool) -> Encoders:
        """Raises MissingDependencyError with what to install."""
        return cls(load_encoder(MINILM_INT8), None) if light else cls(load_encoder(), load_term_encoder())


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told how far the work is."""

    indexing: Callable[[IndexProgress], None] = lambda _: None
    searching: Progress = lambda _name, _done, _total: None
    message: Callable[[str], None] = lambda _: None


def evaluate_limit(client: OpenSearch, folder: Path, encoders: Encoders, watcher: Watcher) -> Evaluation:
    """Generate LIMIT under ``folder``, index it, and compare the ways to search it.

    Every first stage hands all 46 documents on, so the last row is MaxSim itself and no first stage can help or hurt.
    """
    limit = generate_limit(folder / "limit")
    collection = read_collection(limit)
    index = index_corpus(
        client,
        "osmv-demo-limit",
        limit,
        encoder=encoders.vectors,
        term_encoder=encoders.terms,
        dead_letters=folder / "limit.dead.jsonl",
        progress=watcher.indexing,
        message=watcher.message,
    )
    everything = int(client.count(index=index)["count"])
    return evaluate(
        _searcher(client, index, encoders),
        collection,
        [Configuration.parse(name) for name in ROWS if name != SLIM or encoders.terms],
        size=everything,
        window_size=everything,
        measures=("nDCG@10", "R@2", "R@10"),
        latency_topics=25,
        progress=watcher.searching,
    )


def why(evaluation: Evaluation) -> str:
    """What the LIMIT table says."""
    found = {outcome.configuration: outcome.scores.mean["nDCG@10"] for outcome in evaluation.outcomes}
    return (
        "Any two of the 46 documents are the answer to some query: more answers than one small vector a document can "
        f"tell apart (nDCG@10 {found[ONE_VECTOR]:.2f}). The same model's token vectors, compared one by one, can "
        f"({found[LATE_INTERACTION]:.2f}). BM25 can as well, as long as query and document share the words; below they "
        "often do not."
    )


def ask_docstrings(
    client: OpenSearch, folder: Path, encoders: Encoders, watcher: Watcher
) -> tuple[Searcher, dict[str, SearchResult]]:
    """Index the standard library's docstrings and search them; gives the searcher, and results by question."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "stdlib.jsonl"
    write_stdlib_corpus(corpus)
    index = index_corpus(
        client,
        "osmv-demo-stdlib",
        corpus,
        encoder=encoders.vectors,
        layout=Layout(id_field="doc_id"),
        dead_letters=folder / "stdlib.dead.jsonl",
        progress=watcher.indexing,
        message=watcher.message,
    )
    searcher = _searcher(client, index, encoders)
    return searcher, {question: searcher.search(question, size=3, explain=True) for question in QUESTIONS}


def evaluate_folder(client: OpenSearch, folder: Path, encoders: Encoders, watcher: Watcher) -> Evaluation:
    """Index a BEIR folder and compare first stages with and without the rerank on its test topics."""
    collection = read_collection(folder)
    index = index_corpus(
        client,
        collection.name,
        folder,
        encoder=encoders.vectors,
        term_encoder=encoders.terms,
        progress=watcher.indexing,
        message=watcher.message,
    )
    names = ["bm25", "dense", *(["slim"] if encoders.terms else []), "dense/client", "bm25+dense/client"]
    return evaluate(
        _searcher(client, index, encoders),
        collection,
        [Configuration.parse(name) for name in names],
        progress=watcher.searching,
    )


def _searcher(client: OpenSearch, index: str, encoders: Encoders) -> Searcher:
    return Searcher(client, index, encoder=encoders.vectors, term_encoder=encoders.terms)
