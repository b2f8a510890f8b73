"""Batch search beside Pyserini: all topics of a collection, 1,000 hits each, ours against Pyserini's in one run.

    python benchmarks/pyserini.py FOLDER [--hits 1000] [--topics N] [--threads 2] [--rounds 5] [--url URL]

FOLDER: a test collection in BEIR's layout. Both sides index its documents with the same BM25 parameters and analyzer,
and the same impacts of its words. First all rankings are compared, scores too; where one differs nothing is timed. Then
both take turns, each after a search to warm up, on this machine: Pyserini in a process with Lucene in it, ours through
HTTP from the node. Prints queries a second until Python has each hit's id and score, and their ratio; for Pyserini also
until Java has them, as much of its time goes into handing them over.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "pyserini"))
from impacts import Weights, write_collection
from pyserini_process import Pyserini
from rankings import adjusted

from opensearch_multivector.evaluation.collection.beir import CORPUS_FILES, existing, read_collection
from opensearch_multivector.evaluation.collection.pyserini_names import installed, java_home
from opensearch_multivector.indexing import Layout, index_documents
from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.plugin.mapping import Bm25Parameters
from opensearch_multivector.plugin.sub_fields import Slim
from opensearch_multivector.queries.pyserini import BM25Searcher, ImpactSearcher

_INDEX = "osmv-bench-pyserini"
_K1, _B = 0.9, 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hits", type=int, default=1000)
    parser.add_argument("--topics", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--url")
    arguments = parser.parse_args()
    home = java_home()
    if not installed() or home is None:
        sys.exit("Pyserini and a Java 21 or newer with jdk.incubator.vector are needed")
    client = connect(arguments.url, timeout=300)
    with tempfile.TemporaryDirectory() as place:
        pyserini = Pyserini(home, Path(place))
        try:
            compare(arguments, client, pyserini, Path(place))
        finally:
            pyserini.close()
            client.indices.delete(index=f"{_INDEX}*", params={"ignore_unavailable": "true"})


def compare(arguments: argparse.Namespace, client, pyserini: Pyserini, place: Path) -> None:
    corpus = plain(existing(arguments.folder, CORPUS_FILES, "documents"), place / "corpus")
    weights = Weights(corpus / "corpus.jsonl")
    write_collection(place / "impacts" / "docs.jsonl", weights.texts, weights.documents())
    texts = dict(list(read_collection(arguments.folder).topics.items())[: arguments.topics or None])
    repeated = {name: weights.query(text) for name, text in texts.items()}
    index(client, "bm25", corpus, sub_fields=(), bm25=Bm25Parameters(_K1, _B))
    impact_layout = Layout(text_field="contents", terms_field="vector")
    index(client, "impact", place / "impacts", sub_fields=(Slim(),), layout=impact_layout)
    theirs = {
        "bm25": pyserini.index("index-bm25", "BeirFlatCollection", corpus),
        "impact": pyserini.index("index-impact", "JsonVectorCollection", place / "impacts", "-impact", "-pretokenized"),
    }
    print(
        f"{len(weights.texts):,} documents, {len(texts)} queries, {arguments.hits:,} hits, {arguments.threads} threads"
    )
    for kind, topics in (("bm25", texts), ("impact", repeated)):
        make = BM25Searcher if kind == "bm25" else ImpactSearcher
        searcher = make.from_index(f"{_INDEX}-{kind}", client=client)
        names, queries = list(topics), list(topics.values())

        def search(searcher=searcher, names=names, queries=queries) -> dict[str, list[tuple[str, float]]]:
            found = searcher.batch_search(queries, names, k=arguments.hits, threads=arguments.threads)
            return {name: [(hit.docid, hit.score) for hit in hits] for name, hits in found.items()}

        parameters = {"k1": _K1, "b": _B} if kind == "bm25" else {}
        expected = pyserini(kind, folder=theirs[kind], topics=topics, k=arguments.hits, **parameters)
        check(kind, search(), expected)
        batch = {"kind": kind, "folder": theirs[kind], "topics": topics, "k": arguments.hits}
        ours: list[float] = []
        pairs: list[list[float]] = []
        for _ in range(arguments.rounds):
            pairs += pyserini("timed_batch", **batch, threads=arguments.threads, rounds=1)
            ours.append(timed(search))
        in_java, in_python = ([pair[i] for pair in pairs] for i in (0, 1))
        rate, java_rate, python_rate = (len(topics) / median(seconds) for seconds in (ours, in_java, in_python))
        print(
            f"{kind:<7} queries/s: ours {rate:.1f}, Pyserini {python_rate:.1f} ({java_rate:.1f} in Java); ratio "
            f"{rate / python_rate:.2f} ({rate / java_rate:.2f}); seconds: ours {spread(ours)}, Pyserini "
            f"{spread(in_python)} ({spread(in_java)})"
        )


def plain(file: Path, folder: Path) -> Path:
    """The corpus, unpacked, in a folder of its own: Pyserini reads all there is."""
    folder.mkdir()
    with (
        gzip.open(file) if file.suffix == ".gz" else file.open("rb") as source,
        (folder / "corpus.jsonl").open("wb") as to,
    ):
        shutil.copyfileobj(source, to)
    return folder


def index(client, kind: str, documents: Path, **options) -> None:
    name = f"{_INDEX}-{kind}"
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    letters = documents.parent / f"{kind}.dead.jsonl"
    summary = index_documents(client, name, documents, encoder=None, no_vectors=True, dead_letters=letters, **options)
    assert not summary.rejected, summary.rejections
    # One segment, as Pyserini's index has where one thread writes it.
    client.indices.forcemerge(index=name, params={"max_num_segments": "1"}, request_timeout=600)


def check(kind: str, ours: dict[str, list[tuple[str, float]]], theirs: dict[str, list[list]]) -> None:
    different = [name for name, hits in theirs.items() if adjusted(ours[name]) != [tuple(hit) for hit in hits]]
    if different:
        sys.exit(f"{kind}: {len(different)} of {len(theirs)} rankings differ from Pyserini's, such as {different[0]}'s")
    print(f"{kind:<7} all {len(theirs)} rankings are Pyserini's, scores too")


def timed(search: Callable[[], object]) -> float:
    start = time.perf_counter()
    search()
    return time.perf_counter() - start


def spread(seconds: list[float]) -> str:
    return f"{min(seconds):.2f} to {max(seconds):.2f}"


if __name__ == "__main__":
    main()
