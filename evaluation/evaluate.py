"""Run search configurations over a test collection: effectiveness over all topics, latency per stage, runs on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.collection.beir import Collection
from opensearch_multivector.evaluation.measures import DEFAULT_MEASURES, Scorer, Scores
from opensearch_multivector.evaluation.provenance import hashes, write_header
from opensearch_multivector.evaluation.runs import RUN_FORMATS, RunWriter, check_run_format, strict_ranking
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages import FirstStage, parse_first_stages
from opensearch_multivector.queries.pyserini import pyserini_queries
from opensearch_multivector.queries.request import DEFAULT_FUSION, SearchRequest
from opensearch_multivector.queries.rerankers import Reranker, parse_rerank
from opensearch_multivector.queries.searcher import Searcher

# Called with the configuration's name, the searches done and the searches in all, of this configuration.
Progress = Callable[[str, int, int], None]

_BATCH = 64  # topics scored and written at a time: bounds memory, whatever the number of topics


@dataclass(frozen=True, slots=True)
class Configuration:
    """A way to search, named ``FIRST_STAGE[/RERANK]``: ``bm25``, ``dense/client``, ``bm25+dense+slim/client``."""

    first_stage: str
    rerank: str | None

    @classmethod
    def parse(cls, name: str) -> Configuration:
        """Raises InputError on an unknown first stage or rerank."""
        first_stage, slash, rerank = name.partition("/")
        request = SearchRequest("any", first_stage=first_stage, rerank=rerank if slash else None)
        return cls(request.first_stage, request.rerank)

    @property
    def parts(self) -> tuple[FirstStage | Reranker, ...]:
        """Its first stages and reranks."""
        return (*parse_first_stages(self.first_stage).stages, *parse_rerank(self.rerank))

    @property
    def name(self) -> str:
        """As `parse` reads it."""
        return self.first_stage if self.rerank is None else f"{self.first_stage}/{self.rerank}"

    def options(self, size: int, window_size: int) -> dict[str, Any]:
        """For `Searcher`. A window of candidates is only asked for where something ranks them again."""
        single = len(self.parts) == 1
        return {
            "first_stage": self.first_stage,
            "rerank": self.rerank,
            "size": size,
            "window_size": size if single else max(size, window_size),
            "source": False,
        }


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles over single queries, in milliseconds."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One configuration's figures. ``skipped``: candidates, over all topics, whose stored vectors could not be read."""

    configuration: str
    scores: Scores
    latency: dict[str, Latency]
    skipped: int
    run: Path | None

    def as_json(self) -> dict[str, Any]:
        """The means, without the topics' own values."""
        return {
            "measures": self.scores.mean,
            "latency_ms": {stage: asdict(latency) for stage, latency in self.latency.items()},
            "skipped": self.skipped,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All configurations on one collection. ``latency_topics``: how many single queries the latencies are from."""

    collection: Collection
    index: str
    size: int
    window_size: int
    latency_topics: int
    outcomes: list[Outcome]

    def as_json(self) -> dict[str, Any]:
        """For ``--json``: means and latencies, without the topics' own values."""
        return {
            "collection": self.collection.name,
            "index": self.index,
            "topics": len(self.collection.topics),
            "topics_without_judgements": self.collection.unjudged,
            "judged_topics_not_asked": self.collection.unasked,
            "size": self.size,
            "window_size": self.window_size,
            "latency_topics": self.latency_topics,
            "configurations": [
                {
                    "name": outcome.configuration,
                    **outcome.as_json(),
                    "run": str(outcome.run) if outcome.run else None,
                }
                for outcome in self.outcomes
            ],
        }


def evaluate(
    searcher: Searcher,
    collection: Collection,
    configurations: Sequence[Configuration],
    *,
    size: int = 100,
    window_size: int = 300,
    fusion: str = DEFAULT_FUSION,
    measures: Sequence[str] = DEFAULT_MEASURES,
    runs_dir: Path | None = None,
    run_format: str = "trec",
    origin: Mapping[str, Any] | None = None,
    remove_query: bool = False,
    as_pyserini: bool = False,
    min_idf: int = 0,
    latency_topics: int = 100,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate each configuration.

    Rankings of ``size`` documents come from batched searches over all topics; latencies from up to ``latency_topics``
    of the topics (spread evenly), each searched alone, one after the other, after one search to warm up. With
    ``runs_dir`` each configuration's ranking is written there as a run in ``run_format`` (one of `RUN_FORMATS`), beside
    it a header with ``origin`` (what `provenance.describe_index` says) and all else that is needed to repeat it.
    ``fusion``: see `Searcher.search`. ``remove_query``: for collections whose topics are documents themselves, of the
    same id (ArguAna, Quora); these are taken out of their own rankings. ``as_pyserini``: topics, order of equal scores
    and number of candidates are those of Pyserini's SLIM with that ``min_idf`` (`queries.pyserini.pyserini_queries`).

    Raises InputError on an unknown measure or an impossible size, and what `Searcher.search_many` raises.
    """
    if not configurations:
        raise InputError("there is no configuration to evaluate; one is for example dense/client.")
    if size < 1:
        raise InputError(f"size is {size}; a ranking holds at least one document.")
    check_run_format(run_format)
    more: dict[str, Any] = {"fusion": fusion}
    if as_pyserini:
        queries = pyserini_queries(searcher.client, searcher, list(collection.topics.values()), min_idf)
        collection = replace(collection, topics=dict(zip(collection.topics, queries, strict=True)))
        window_size = size * (min_idf + 1)
        more["ties"] = "docid"
    timed = _spread(list(collection.topics.values()), latency_topics)
    described = {"name": collection.name, "topics": len(collection.topics)}
    if runs_dir:
        described["files"] = hashes(collection.files)
    outcomes = []
    for configuration in dict.fromkeys(configurations):
        scorer = Scorer(collection.qrels, measures)
        options = configuration.options(size, window_size) | more
        report = _Reporter(progress, configuration.name, len(collection.topics) + len(timed))
        name = configuration.name.replace("/", ".") + RUN_FORMATS[run_format]
        run = runs_dir / name if runs_dir else None
        with RunWriter(run, configuration.name, run_format) if run else nullcontext() as writer:
            skipped = _rank(searcher, collection, options, scorer, writer, report, remove_query=remove_query)
        latency = _time(searcher, timed, options, report)
        outcome = Outcome(configuration.name, scorer.result(), latency, skipped, run)
        outcomes.append(outcome)
        if run:
            write_header(
                run,
                {
                    "name": outcome.configuration,
                    "search": options
                    | ({"remove_query": True} if remove_query else {})
                    | ({"as_pyserini": True, "min_idf": min_idf} if as_pyserini else {}),
                    "collection": described,
                    **(origin or {}),
                    "results": outcome.as_json() | {"latency_topics": len(timed)},
                },
            )
    return Evaluation(collection, searcher.index, size, window_size, len(timed), outcomes)


class _Reporter:
    """Counts searches for a `Progress`."""

    def __init__(self, progress: Progress | None, name: str, total: int) -> None:
        self._progress, self._name, self._done, self._total = progress, name, 0, total

    def advance(self, searches: int) -> None:
        self._done += searches
        if self._progress is not None:
            self._progress(self._name, self._done, self._total)


def _rank(
    searcher: Searcher,
    collection: Collection,
    options: dict[str, Any],
    scorer: Scorer,
    writer: RunWriter | None,
    report: _Reporter,
    *,
    remove_query: bool,
) -> int:
    """Rank all topics into the scorer and the run; returns how many candidates were skipped."""
    skipped = 0
    topics = iter(collection.topics.items())
    while batch := dict(islice(topics, _BATCH)):
        results = searcher.search_many(list(batch.values()), **options)
        rankings = {
            query_id: strict_ranking(
                ((hit.doc_id, hit.score) for hit in result.hits if not (remove_query and hit.doc_id == query_id)),
                as_given=options.get("ties") == "docid",
            )
            for query_id, result in zip(batch, results, strict=True)
        }
        scorer.add(rankings)
        if writer is not None:
            for query_id, ranking in rankings.items():
                writer.write(query_id, ranking)
        skipped += sum(len(result.skipped) for result in results)
        report.advance(len(batch))
    return skipped


def _time(
    searcher: Searcher, queries: list[str | EncodedQuery], options: dict[str, Any], report: _Reporter
) -> dict[str, Latency]:
    """Latencies by stage, in the order the stages ran."""
    milliseconds: dict[str, list[float]] = {}
    if queries:
        searcher.search(queries[-1], **options)
    for query in queries:
        for stage, value in searcher.search(query, **options).timings.items():
            milliseconds.setdefault(stage, []).append(value)
        report.advance(1)
    return {
        stage: Latency(*(float(value) for value in np.percentile(values, (50, 95))))
        for stage, values in milliseconds.items()
    }


def _spread(queries: list[str | EncodedQuery], most: int) -> list[str | EncodedQuery]:
    if most <= 0:
        return []
    step = max(1, -(-len(queries) // most))
    return queries[::step]
