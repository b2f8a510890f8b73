"""Run the rows of a matrix: index the documents where that has not been done, search, measure, keep what came of it.

What is finished stays finished, however the process ends: an index goes on where it stood, and a row with a result is
not run again unless its spec, its data or its index changed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError, OsmvError
from opensearch_multivector.evaluation.collection.corpus_index import index_corpus
from opensearch_multivector.evaluation.evaluate import Progress as Searching
from opensearch_multivector.evaluation.evaluate import evaluate
from opensearch_multivector.evaluation.provenance import describe_index, read_header
from opensearch_multivector.evaluation.reproduce.matrix import CollectionChoice, IndexChoice, Matrix, Row
from opensearch_multivector.evaluation.reproduce.outcomes import NOT_RUN, Outcome, Results, Stored
from opensearch_multivector.evaluation.reproduce.sources import Models, Source, UnavailableError, find_source
from opensearch_multivector.expressions import text
from opensearch_multivector.indexing import Bm25Parameters, Layout
from opensearch_multivector.indexing import Progress as Indexing
from opensearch_multivector.indexing.target import index_uuid
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.mapping import index_exists
from opensearch_multivector.queries.searcher import Searcher

LATENCY_TOPICS = 100
DONE, TO_RUN = "done", "to run"


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told how a row gets on."""

    indexing: Callable[[Indexing], None] = lambda _: None
    searching: Searching = lambda *_: None
    message: Callable[[str], None] = lambda _: None


class Reproduction:
    """Rows against one cluster, with collections below ``data`` and results in ``out``.

    ``again``: finished rows are run once more. ``latency_topics``: how many topics of each row are timed.
    """

    def __init__(
        self,
        connect: Callable[[], OpenSearch],
        data: Path,
        out: Path,
        *,
        again: bool = False,
        latency_topics: int = LATENCY_TOPICS,
    ) -> None:
        self._connect = connect
        self._data = data
        self._again = again
        self._latency_topics = latency_topics
        self._models = Models()
        self._sources: dict[tuple[str, CollectionChoice], Source] = {}
        self.results = Results(out)

    @cached_property
    def _client(self) -> OpenSearch:
        return self._connect()

    def run(self, matrix: Matrix, row: Row, watcher: Watcher) -> Outcome:
        """Run a row, or give what came of it where it is finished.

        Errors in a row are its outcome, so that others still run. Raises ClusterError where the cluster fails, and
        InputError where results can't be read or written.
        """
        stored = None if self._again else self.results.of(matrix, row)
        spec = spec_digest(matrix, row)
        blank = Outcome(matrix.name, matrix.title, row.as_json())
        try:
            source = self._source(matrix, row)
            if stored and stored.spec == spec and stored.data == source.digest and self._same_index(stored):
                return self._kept(matrix, row, stored)
            outcome, index = self._measure(matrix, row, source, watcher)
        except UnavailableError as error:
            if stored and stored.spec == spec:
                return self._kept(matrix, row, stored)
            return replace(blank, reason=str(error))
        except OsmvError as error:
            # Refusing one row's request is that row's failure; a cluster that is gone would fail all the others.
            if isinstance(error, ClusterError) and not self._client.ping():
                raise
            return replace(blank, reason=str(error), exit_code=error.exit_code)
        self.results.keep(matrix, row, Stored(outcome, spec, source.digest, index))
        return outcome

    def _source(self, matrix: Matrix, row: Row) -> Source:
        choice = matrix.collections[row.collection]
        key = (row.collection, choice)
        if key not in self._sources:
            self._sources[key] = find_source(row.collection, choice, self._data)
        return self._sources[key]

    def plan(self, matrix: Matrix, row: Row) -> str:
        """What `run` would do, as far as files tell; the cluster is not asked. Raises InputError."""
        stored = None if self._again else self.results.of(matrix, row)
        same = stored if stored and stored.spec == spec_digest(matrix, row) else None
        try:
            source = self._source(matrix, row)
            return DONE if same and same.data == source.digest else TO_RUN
        except UnavailableError as error:
            return DONE if same else f"{NOT_RUN}: {error}"

    def _same_index(self, stored: Stored) -> bool:
        """Whether the index is as it was. One that is gone can't tell otherwise: the figures are taken as they are."""
        now = index_state(self._client, stored.index["name"]) if stored.index else None
        return now is None or now == stored.index

    def _kept(self, matrix: Matrix, row: Row, stored: Stored) -> Outcome:
        """A finished row, with source, tolerance and expected figures as the matrix has them now."""
        outcome = replace(stored.outcome, title=matrix.title, row=row.as_json())
        if outcome != stored.outcome:
            self.results.keep(matrix, row, replace(stored, outcome=outcome))
        return outcome

    def _measure(self, matrix: Matrix, row: Row, source: Source, watcher: Watcher) -> tuple[Outcome, dict[str, Any]]:
        start = time.perf_counter()
        collection = source.collection()
        encoder, terms = self._models.encoder(row.index), self._models.term_encoder(row.index.terms)
        rejected = self.results.dead_letters(row.collection, _index_digest(matrix, row))
        index = index_corpus(
            self._client,
            row.collection,
            source.corpus(),
            encoder=encoder,
            term_encoder=terms,
            codec=row.index.codec,
            sub_fields=row.sub_fields,
            reduce=row.index.reduce,
            layout=_layout(row.index),
            no_vectors=row.index.no_vectors,
            bm25=Bm25Parameters.given(row.index.bm25_k1, row.index.bm25_b),
            analyzer=row.index.analyzer,
            dead_letters=rejected,
            progress=watcher.indexing,
            message=watcher.message,
        )
        searcher = Searcher(self._client, index, encoder=encoder, term_encoder=terms)
        (result,) = evaluate(
            searcher,
            collection,
            [row.search.configuration],
            size=row.search.size,
            window_size=row.search.window_size,
            fusion=row.search.fusion,
            remove_query=row.search.remove_query,
            as_pyserini=row.search.as_pyserini,
            min_idf=row.search.min_idf,
            measures=list(row.expected),
            runs_dir=self.results.folder(matrix, row),
            origin={
                "reproduced": {"matrix": matrix.name, "row": row.as_json(), "rejected": _lines(rejected)},
                **describe_index(self._client, index, searcher.spec),
            },
            latency_topics=self._latency_topics,
            progress=watcher.searching,
        ).outcomes
        if result.run is None or (header := read_header(result.run)) is None:
            raise RuntimeError("a run that was written has no header")
        outcome = Outcome(
            matrix=matrix.name,
            title=matrix.title,
            row=row.as_json(),
            header=header,
            run=result.run.relative_to(self.results.out).as_posix(),
            seconds=time.perf_counter() - start,
        )
        return outcome, index_state(self._client, index) or {}


def spec_digest(matrix: Matrix, row: Row) -> str:
    """Of all in a matrix that decides a row's figures."""
    parts = [asdict(matrix.collections[row.collection]), asdict(row.index), asdict(row.search), sorted(row.expected)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _index_digest(matrix: Matrix, row: Row) -> str:
    """Of what is to be indexed, and how: rows that share it share an index."""
    parts = [asdict(matrix.collections[row.collection]), asdict(row.index), list(map(text, row.sub_fields))]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def index_state(client: OpenSearch, index: str) -> dict[str, Any] | None:
    """What changes with every write to an index, and when another takes its name; None where it is gone."""
    if not index_exists(client, index):
        return None
    with cluster_errors():
        shards = client.indices.stats(index=index, level="shards", metric="docs")["indices"][index]["shards"]
    writes = [copy.get("seq_no", {}).get("max_seq_no") for copies in shards.values() for copy in copies]
    return {"name": index, "uuid": index_uuid(client, index), "writes": sorted(set(filter(None, writes)))}


def _layout(index: IndexChoice) -> Layout | None:
    """None where it is the usual one, so that the index is shared with `osmv eval`."""
    layout = Layout(
        id_field=index.id_field,
        text_field=index.text_field,
        title_field=index.title_field,
        vectors_field=index.vectors_field,
        terms_field=index.terms_field,
        pooled_field=index.pooled_field,
    )
    return None if layout == Layout() else layout
