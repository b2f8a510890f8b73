"""Pyserini's side of the comparisons, in a process of its own, as Pyserini brings a JVM with it.

Each line of standard input is a call, ``[name, arguments]`` as JSON, answered by a line of JSON on standard output:
``{"result": ...}`` or ``{"error": ...}``. Whatever Pyserini and the JVM print goes to standard error.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from typing import Any

ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

from pyserini.output_writer import OutputFormat, get_output_writer  # noqa: E402
from pyserini.pyclass import autoclass  # noqa: E402
from pyserini.search import get_topics_with_reader  # noqa: E402
from pyserini.search.lucene import LuceneImpactSearcher, LuceneSearcher, SlimSearcher  # noqa: E402

Run = dict[str, list[tuple[str, float]]]


def index(collection: str, documents: str, folder: str, options: list[str] = []) -> None:  # noqa: B006
    """What `python -m pyserini.index.lucene` does."""
    arguments = ["-collection", collection, "-input", documents, "-index", folder, "-threads", "1", *options]
    autoclass("io.anserini.index.IndexCollection").main(arguments)


def bm25(folder: str, topics: dict[str, str], k: int, k1: float, b: float, out: str | None = None) -> Run:
    searcher = LuceneSearcher(folder)
    searcher.set_bm25(k1, b)
    return _searched(searcher, topics, k, out)


def impact(folder: str, topics: dict[str, str], k: int, out: str | None = None, min_idf: float = 0) -> Run:
    """Topics are texts of repeated tokens: Pyserini counts them."""
    return _searched(LuceneImpactSearcher(folder, None, min_idf), topics, k, out)


class Remembering:
    """A query encoder that keeps what it gave."""

    def __init__(self, model: str) -> None:
        from pyserini.encode import SlimQueryEncoder

        self._encoder = SlimQueryEncoder(model)
        self.terms: dict[str, dict[str, int]] = {}
        self.tokens: dict[str, list[dict[int, float]]] = {}

    def encode(self, text: str, return_sparse: bool = False) -> Any:
        terms, tokens = self._encoder.encode(text, return_sparse=True)
        self.terms[text] = terms
        self.tokens[text] = [
            {int(i): float(weight) for i, weight in zip(row.indices, row.data, strict=True)} for row in tokens
        ]
        return (terms, tokens) if return_sparse else terms


def slim(folder: str, corpus: str, model: str, topics: dict[str, str], k: int, min_idf: float = 0) -> dict[str, Any]:
    """``run``: what `SlimSearcher` finds; ``first``: its index alone; ``terms``, ``tokens``: what it asks with."""
    encoder = Remembering(model)
    searcher = SlimSearcher(corpus, folder, encoder, min_idf)
    run = _searched(searcher, topics, k, None)
    first = _searched(LuceneImpactSearcher(folder, encoder, min_idf), topics, k, None)
    searcher.close()
    return {
        "run": run,
        "first": first,
        "terms": {name: encoder.terms[text] for name, text in topics.items()},
        "tokens": {name: encoder.tokens[text] for name, text in topics.items()},
        "idf": {term: float(idf) for term, idf in searcher.idf.items()},
    }


def topics(reader: str, file: str) -> dict[str, dict[str, str]]:
    found = get_topics_with_reader(f"io.anserini.search.topicreader.{reader}TopicReader", file)
    return {str(name): fields for name, fields in found.items()}


def trec_eval(qrels: str, run: str, measures: list[str]) -> dict[str, dict[str, float]]:
    """By measure, values by topic and of "all", one call a measure: of several Pyserini gives the last one only."""
    from pyserini.eval.trec_eval import trec_eval as evaluate

    return {
        measure: evaluate(["trec_eval", "-q", "-c", "-m", measure, qrels, run], return_per_query_results=True)
        for measure in measures
    }


def msmarco_passage_eval(qrels: str, run: str) -> dict[str, str]:
    """What MS MARCO's own script prints, which Pyserini downloads at the first call."""
    command = [sys.executable, "-m", "pyserini.eval.msmarco_passage_eval", qrels, run]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(line.split(": ", 1) for line in printed.splitlines() if line.startswith(("MRR", "QueriesRanked")))


def analyze(texts: list[str]) -> list[list[str]]:
    """The tokens of `DefaultEnglishAnalyzer`."""
    from pyserini.analysis import Analyzer, get_lucene_analyzer

    analyzer = Analyzer(get_lucene_analyzer())
    return [list(analyzer.analyze(text)) for text in texts]


def execute(code: str) -> str:
    """What a piece of Python prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "snippet", "exec"), {"__name__": "__main__"})
    return printed.getvalue()


def timed_batch(
    kind: str, folder: str, topics: dict[str, str], k: int, threads: int, rounds: int
) -> list[tuple[float, float]]:
    """Seconds of each of ``rounds`` batch searches, after one to warm up: until Java has the hits, until Python has."""
    searcher = LuceneSearcher(folder) if kind == "bm25" else LuceneImpactSearcher(folder, None)
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        found = searcher.batch_search(list(topics.values()), list(topics), k=k, threads=threads)
        searched = time.perf_counter() - start
        {name: [(hit.docid, hit.score) for hit in hits] for name, hits in found.items()}
        seconds.append((searched, time.perf_counter() - start))
    searcher.close()
    return seconds[1:]


def _searched(searcher: Any, topics: dict[str, str], k: int, out: str | None) -> Run:
    found = searcher.batch_search(list(topics.values()), list(topics), k=k, threads=2)
    if out is not None:
        form = OutputFormat.MSMARCO if out.endswith(".tsv") else OutputFormat.TREC
        with get_output_writer(out, form, max_hits=k, tag="pyserini") as writer:
            for name in topics:
                writer.write(name, found[name])
    return {name: [(hit.docid, float(hit.score)) for hit in found[name]] for name in topics}


CALLS = {
    call.__name__: call
    for call in (index, bm25, impact, slim, topics, trec_eval, msmarco_passage_eval, analyze, execute, timed_batch)
}


def main() -> None:
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer: dict[str, Any] = {"result": CALLS[name](**arguments)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=ANSWERS, flush=True)


if __name__ == "__main__":
    main()
