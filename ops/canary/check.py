"""Checking a canary: each way to search, held against the exact answers of what is still there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import MismatchError, OsmvError
from opensearch_multivector.ops.canary import store
from opensearch_multivector.ops.canary.agreement import (
    Scored,
    edge_of,
    estimated_recall,
    misses,
    order_agreement,
    share_of_top,
)
from opensearch_multivector.ops.canary.canary import NO_RERANK, Answer, Canary, Query
from opensearch_multivector.ops.canary.exact import maxsims, readable
from opensearch_multivector.ops.canary.make import holder
from opensearch_multivector.ops.canary.results import GRAPHS, Check, Outcome, Point
from opensearch_multivector.ops.canary.standing import (
    Standing,
    blobs_of,
    segments_of,
    still_standing,
    written_among,
    written_since,
)
from opensearch_multivector.plugin.attachments import fingerprint_of
from opensearch_multivector.queries.rerankers import parse_rerank
from opensearch_multivector.queries.searcher import Searcher

_WORST = 5
_QUARTER = 0.25


def check_canary(
    client: OpenSearch,
    canary: Canary,
    *,
    searcher: Searcher | None = None,
    keep_baseline: bool = True,
    keep: bool = True,
    raises: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Check:
    """Check a canary and keep what was found; what can't be checked is a `Check` with its ``error``.

    ``searcher``: of the canary's index, for whoever checks again and again. ``keep_baseline``: False has the figures
    of this check be what later ones are held against; so has the first check. ``keep``: False is for a look that is
    nobody's but the caller's, say at other ways to search. ``raises``: the error is raised, too. Raises ClusterError
    where what was found can't be kept.
    """
    began, at = time.perf_counter(), time.time()
    before = store.get_results(client, canary.name)
    baseline = before.baseline if keep_baseline else None
    check = Check(
        canary.name, canary.index, canary.field, at, k=canary.k, window_size=canary.window_size, queries=canary.queries
    )
    failed: OsmvError | None = None
    try:
        searcher = searcher or open_searcher(client, canary)
        check = _checked(client, canary, searcher, check, baseline or {}, progress)
    except OsmvError as error:
        failed, check = error, replace(check, error=str(error))
    check = replace(check, seconds=time.perf_counter() - began)
    if check.error is None:
        figures = {each.way: {"recall": each.recall, "overlap": each.overlap} for each in check.outcomes}
        after = store.Results(check, figures | (baseline or {}), (*before.history, Point.of(check)))
    else:
        after = replace(before, last=check)
    if keep:
        store.put_results(client, canary.name, after)
    if raises and failed is not None:
        raise failed
    return check


def open_searcher(client: OpenSearch, canary: Canary) -> Searcher:
    """What a canary is checked with."""
    return Searcher(client, canary.index, field=canary.field, sidecar=canary.sidecar)


def _checked(
    client: OpenSearch,
    canary: Canary,
    searcher: Searcher,
    check: Check,
    baseline: Mapping[str, Mapping[str, float]],
    progress: Callable[[int, int], None],
) -> Check:
    index, uuid = holder(client, searcher)
    if uuid != canary.uuid or fingerprint_of(searcher.spec) != canary.fingerprint:
        raise MismatchError(
            f"index {index!r} is another, or of another form, than the answers of canary {canary.name!r} are of: "
            f"make them anew (osmv canary renew {canary.name})"
        )
    queries = store.get_queries(client, canary)
    standing = still_standing(client, searcher, index, queries)
    written = written_since(client, index, canary)
    known = standing.known(queries)
    look = _Look(client, searcher, canary, queries, standing, index, known, bool(written))
    outcomes: list[Outcome] = []
    for first_stage in dict.fromkeys(canary.first_stages):
        progress(len(outcomes), len(canary.ways))
        candidates = look.rankings(first_stage, None, canary.window_size)
        for rerank in (rerank for stage, rerank in canary.ways if stage == first_stage):
            pages = candidates if rerank is None else look.rankings(first_stage, rerank, look.page_size(rerank))
            outcomes.append(look.outcome(first_stage, rerank, candidates, pages))
        if canary.graphs and all(first_stage in each.neighbours for each in queries):
            outcomes.append(look.of_graphs(first_stage, candidates))
    progress(len(outcomes), len(canary.ways))
    return replace(
        check,
        documents=canary.documents,
        share=canary.share,
        written_since=written,
        deleted=len(standing.gone),
        changed=len(standing.changed),
        lost=len(standing.lost),
        segments=segments_of(client, index),
        outcomes=tuple(_judged(each, canary, baseline.get(each.way)) for each in outcomes),
    )


def _judged(outcome: Outcome, canary: Canary, baseline: Mapping[str, float] | None) -> Outcome:
    alarms: list[str] = []
    depth = outcome.depth(canary.k, canary.window_size)
    if outcome.recall < canary.min_recall:
        alarms.append(f"recall@{depth} is {outcome.recall:.3f}, below {canary.min_recall:g}")
    known = baseline or {}
    figures = {"recall": outcome.recall}
    if outcome.rerank != GRAPHS:
        figures["overlap"] = outcome.overlap
    for what, value in figures.items():
        if known.get(what, 0.0) - value > canary.max_drop:
            alarms.append(
                f"{what}@{depth} is {value:.3f}, more than {canary.max_drop:g} below the {known[what]:.3f} that it was"
            )
    return replace(
        outcome, alarms=tuple(alarms), baseline_recall=known.get("recall"), baseline_overlap=known.get("overlap")
    )


@dataclass(slots=True)
class _Look:
    """The searches of one check. ``known``: ids of all answers that stand; ``grown``: something was written since.

    ``exact``: the candidates of the first stage that is looked at, ranked exactly, where answers are of a sample.
    """

    client: OpenSearch
    searcher: Searcher
    canary: Canary
    queries: Sequence[Query]
    standing: Standing
    index: str
    known: set[str]
    grown: bool
    exact: dict[str, list[list[Scored]]] = field(default_factory=dict)

    def page_size(self, rerank: str) -> int:
        """More than k hits, as those that were written since are left out."""
        kept = [step.keep for step in parse_rerank(rerank) if step.keep]
        return min(2 * self.canary.k, self.canary.window_size, *kept)

    def rankings(self, first_stage: str, rerank: str | None, size: int) -> list[list[Scored]]:
        """Ids and scores by query, best first, without what was written since the answers were made."""
        results = self.searcher.search_many(
            [each.query for each in self.queries],
            first_stage=first_stage,
            rerank=rerank,
            size=size,
            window_size=self.canary.window_size,
            source=False,
        )
        found = [[(hit.doc_id, hit.score) for hit in result.hits] for result in results]
        ids = {doc_id for ranking in found for doc_id, _ in ranking} - self.known if self.grown else set()
        new = written_among(self.client, self.index, self.canary, ids)
        return [[each for each in ranking if each[0] not in new] for ranking in found]

    def outcome(
        self, first_stage: str, rerank: str | None, candidates: list[list[Scored]], pages: list[list[Scored]]
    ) -> Outcome:
        """The figures of one way."""
        k = self.canary.k
        if self.canary.share < 1:
            return self._estimated(first_stage, rerank, candidates, pages)
        recalls: list[float] = []
        overlaps: list[float] = []
        orders: list[float] = []
        ages = _Ages()
        for query, ranking, page in zip(self.queries, candidates, pages, strict=True):
            answers = self.standing.of(query)
            exact = [(each.doc_id, each.score) for each in answers]
            found = {doc_id for doc_id, _ in ranking}
            recalls.append(share_of_top(exact, found, k))
            overlaps.append(share_of_top(exact, {doc_id for doc_id, _ in page[:k]}, k))
            orders.append(order_agreement(exact, [doc_id for doc_id, _ in page[:k]], k))
            ages.count(answers[:k], found)
        return Outcome(
            first_stage,
            rerank or NO_RERANK,
            _mean(recalls),
            _mean(overlaps),
            _mean(orders),
            *ages.recalls,
            worst=self._worst(recalls),
        )

    def of_graphs(self, first_stage: str, candidates: list[list[Scored]]) -> Outcome:
        """k-NN held against the exact nearest neighbours: what HNSW itself loses."""
        recalls: list[float] = []
        ages = _Ages()
        for query, ranking in zip(self.queries, candidates, strict=True):
            near = self.standing.near(query, first_stage)
            found = {doc_id for doc_id, _ in ranking}
            recalls.append(share_of_top([(each.doc_id, each.score) for each in near], found, len(near)))
            ages.count(near, found)
        recall = _mean(recalls)
        return Outcome(first_stage, GRAPHS, recall, recall, None, *ages.recalls, worst=self._worst(recalls))

    def _estimated(
        self, first_stage: str, rerank: str | None, candidates: list[list[Scored]], pages: list[list[Scored]]
    ) -> Outcome:
        """See `agreement`; the exact scores of the candidates are those of the rerank that is computed here."""
        k = self.canary.k
        if first_stage not in self.exact:
            self.exact = {first_stage: self.rankings(first_stage, "client", self.page_size("client"))}
        exact = self.exact[first_stage]
        beyond = self._scored_beyond(exact, pages)
        missed: list[float] = []
        missed_with_page: list[float] = []
        of_page: list[float] = []
        ages = _Ages()
        for query, ranking, best, page, more in zip(self.queries, candidates, exact, pages, beyond, strict=True):
            found = {doc_id for doc_id, _ in ranking}
            answers = self.standing.of(query)
            others = [(each.doc_id, each.score) for each in answers if each.doc_id not in found]
            missed.append(misses(best, others, self.canary.share, k))
            edge = edge_of(best, k)
            ages.count([each for each in answers if each.score >= edge], found)
            reached = sorted([*best, *more.items()], key=lambda each: -each[1])
            others = [each for each in others if each[0] not in more]
            missed_with_page.append(misses(reached, others, self.canary.share, k))
            of_page.append(share_of_top(reached, {doc_id for doc_id, _ in page[:k]}, k))
        return Outcome(
            first_stage,
            rerank or NO_RERANK,
            estimated_recall(missed, k),
            _mean(of_page) * estimated_recall(missed_with_page, k),
            None,
            *ages.recalls,
            worst=self._worst([-each for each in missed], perfect=0.0),
        )

    def _scored_beyond(self, exact: list[list[Scored]], pages: list[list[Scored]]) -> list[dict[str, float]]:
        """Exact scores of hits of the pages that candidates lack: `native` looks at more, a window in each shard."""
        spec, k = self.searcher.spec, self.canary.k
        lacking = [
            {doc_id for doc_id, _ in page[:k]} - {doc_id for doc_id, _ in best}
            for best, page in zip(exact, pages, strict=True)
        ]
        vectors: dict[str, FloatArray] = {}
        for doc_id, blob in blobs_of(self.client, self.index, spec, sorted(set().union(*lacking))):
            document = readable(spec, blob)
            if document is not None and len(document):
                vectors[doc_id] = document
        if not vectors:
            return [{} for _ in lacking]
        needed = self.searcher.queries.encode([each.query for each in self.queries], frozenset({"vectors"}))
        return [
            {
                doc_id: float(maxsims([query.vectors], [vectors[doc_id]])[0, 0])
                for doc_id in ids & vectors.keys()
                if query.vectors is not None
            }
            for query, ids in zip(needed, lacking, strict=True)
        ]

    def _worst(self, recalls: Sequence[float], perfect: float = 1.0) -> tuple[str, ...]:
        """Ids of the queries with the least, of those that are not perfect."""
        order = sorted(range(len(recalls)), key=lambda i: recalls[i])
        return tuple(self.queries[i].id for i in order[:_WORST] if recalls[i] < perfect)


class _Ages:
    """Recall over all queries of the documents that were written first, and last."""

    def __init__(self) -> None:
        self._seen = {"oldest": [0, 0], "newest": [0, 0]}

    def count(self, answers: Iterable[Answer], found: set[str]) -> None:
        for answer in answers:
            quarter = "oldest" if answer.age <= _QUARTER else "newest" if answer.age > 1 - _QUARTER else None
            if quarter:
                self._seen[quarter][0] += answer.doc_id in found
                self._seen[quarter][1] += 1

    @property
    def recalls(self) -> tuple[float | None, float | None]:
        """Of the oldest quarter and of the newest."""
        oldest, newest = (there / all_ if all_ else None for there, all_ in self._seen.values())
        return oldest, newest


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 1.0
