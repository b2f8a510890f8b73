"""Checking a canary: each way to search, held against the exact answers of what is still there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException

from opensearch_multivector.errors import ClusterError, MismatchError, OsmvError
from opensearch_multivector.indexing.backfill.scan import hits_in_full
from opensearch_multivector.ops.canary import store
from opensearch_multivector.ops.canary.agreement import Scored, estimate, order_agreement, share_of_top
from opensearch_multivector.ops.canary.canary import NO_RERANK, Answer, Canary, Query
from opensearch_multivector.ops.canary.exact import hash_of, readable
from opensearch_multivector.ops.canary.make import holder
from opensearch_multivector.ops.canary.results import Check, Outcome, Point
from opensearch_multivector.plugin.attachments import fingerprint_of
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import VECTORS
from opensearch_multivector.queries.rerankers import parse_rerank
from opensearch_multivector.queries.rerankers.blobs import blob_of
from opensearch_multivector.queries.searcher import Searcher

_IDS = 500  # asked for at once
_BLOBS = 50
_WORST = 5
_QUARTER = 0.25


@dataclass(frozen=True, slots=True)
class _Standing:
    """What of the answers still stands: ``gone`` and ``changed`` ids are left out, ``lost`` ones are missed."""

    gone: frozenset[str]
    changed: frozenset[str]
    lost: frozenset[str]

    def of(self, query: Query) -> list[Answer]:
        return [each for each in query.answers if each.doc_id not in self.gone and each.doc_id not in self.changed]


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
    standing = _standing(client, searcher, index, queries)
    written = _written_since(client, index, canary)
    known = {each.doc_id for query in queries for each in standing.of(query)}
    look = _Look(client, searcher, canary, queries, standing, index, known, bool(written))
    outcomes: list[Outcome] = []
    for first_stage in dict.fromkeys(canary.first_stages):
        progress(len(outcomes), len(canary.ways))
        candidates = look.rankings(first_stage, None, canary.window_size)
        for rerank in (rerank for stage, rerank in canary.ways if stage == first_stage):
            pages = candidates if rerank is None else look.rankings(first_stage, rerank, look.page_size(rerank))
            outcomes.append(look.outcome(first_stage, rerank, candidates, pages))
    progress(len(outcomes), len(canary.ways))
    return replace(
        check,
        documents=canary.documents,
        share=canary.share,
        written_since=written,
        deleted=len(standing.gone),
        changed=len(standing.changed),
        lost=len(standing.lost),
        segments=_segments(client, index),
        outcomes=tuple(_judged(each, canary, baseline.get(each.way)) for each in outcomes),
    )


def _judged(outcome: Outcome, canary: Canary, baseline: Mapping[str, float] | None) -> Outcome:
    alarms: list[str] = []
    if outcome.recall < canary.min_recall:
        alarms.append(f"recall@{canary.k} is {outcome.recall:.3f}, below {canary.min_recall:g}")
    for what, value in (("recall", outcome.recall), ("overlap", outcome.overlap)):
        if baseline is not None and baseline[what] - value > canary.max_drop:
            alarms.append(
                f"{what}@{canary.k} is {value:.3f}, more than {canary.max_drop:g} below the {baseline[what]:.3f} that "
                "it was"
            )
    known = baseline or {}
    return replace(
        outcome, alarms=tuple(alarms), baseline_recall=known.get("recall"), baseline_overlap=known.get("overlap")
    )


@dataclass(slots=True)
class _Look:
    """The searches of one check. ``known``: ids of all answers that stand; ``grown``: something was written since."""

    client: OpenSearch
    searcher: Searcher
    canary: Canary
    queries: Sequence[Query]
    standing: _Standing
    index: str
    known: set[str]
    grown: bool

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
        new = self._new({doc_id for ranking in found for doc_id, _ in ranking} - self.known) if self.grown else set()
        return [[each for each in ranking if each[0] not in new] for ranking in found]

    def _new(self, ids: set[str]) -> set[str]:
        """Those of the documents that were written since."""
        new: set[str] = set()
        for some in _batches(sorted(ids), _IDS):
            for shard, horizon in enumerate(self.canary.horizons):
                later = {"range": {"_seq_no": {"gt": horizon}}}
                body = _ids_body(some) | {"query": {"bool": {"filter": [_ids_body(some)["query"], later]}}}
                new |= {
                    hit["_id"] for hit in _search(self.client, self.index, body, {"preference": f"_shards:{shard}"})
                }
        return new

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

    def _estimated(
        self, first_stage: str, rerank: str | None, candidates: list[list[Scored]], pages: list[list[Scored]]
    ) -> Outcome:
        """See `agreement`; the exact scores of the candidates are those of the rerank that is computed here."""
        k = self.canary.k
        exact = pages if rerank == "client" else self.rankings(first_stage, "client", self.page_size("client"))
        recalls: list[float] = []
        overlaps: list[float] = []
        ages = _Ages()
        for query, ranking, best, page in zip(self.queries, candidates, exact, pages, strict=True):
            found = {doc_id for doc_id, _ in ranking}
            answers = self.standing.of(query)
            missed = [(each.doc_id, each.score) for each in answers if each.doc_id not in found]
            top = estimate(best, missed, self.canary.share, k)
            recalls.append(top.recall)
            overlaps.append(sum(doc_id in top.top for doc_id, _ in page[:k]) / k)
            ages.count([each for each in answers if each.score >= top.edge], found)
        return Outcome(
            first_stage,
            rerank or NO_RERANK,
            _mean(recalls),
            _mean(overlaps),
            None,
            *ages.recalls,
            worst=self._worst(recalls),
        )

    def _worst(self, recalls: Sequence[float]) -> tuple[str, ...]:
        order = sorted(range(len(recalls)), key=lambda i: recalls[i])
        return tuple(self.queries[i].id for i in order[:_WORST] if recalls[i] < 1)


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


def _standing(client: OpenSearch, searcher: Searcher, index: str, queries: Sequence[Query]) -> _Standing:
    answers = {each.doc_id: each for query in queries for each in query.answers}
    there: dict[str, int] = {}
    for ids in _batches(sorted(answers), _IDS):
        there |= {hit["_id"]: hit["_seq_no"] for hit in _search(client, index, _ids_body(ids))}
    # Of a sidecar's documents the user's index says which are there; those beside may be orphans, or missing.
    alive = set(there)
    if searcher.sidecar is not None:
        alive = set()
        for ids in _batches(sorted(answers), _IDS):
            alive |= {hit["_id"] for hit in _search(client, searcher.sidecar.index, _ids_body(ids))}
    lost = alive - there.keys()
    changed: set[str] = set()
    rewritten = sorted(doc_id for doc_id in alive & there.keys() if there[doc_id] != answers[doc_id].seq_no)
    for ids in _batches(rewritten, _BLOBS):
        for hit in _search(client, index, _ids_body(ids) | {"docvalue_fields": [searcher.spec.sub(VECTORS)]}):
            blob = blob_of(searcher.spec, hit, VECTORS)
            if blob is not None and hash_of(blob) == answers[hit["_id"]].blob:
                continue  # written, and its vectors are what they were
            (lost if readable(searcher.spec, blob) is None else changed).add(hit["_id"])
    return _Standing(frozenset(answers.keys() - alive), frozenset(changed), frozenset(lost))


def _written_since(client: OpenSearch, index: str, canary: Canary) -> int:
    found = 0
    for shard, horizon in enumerate(canary.horizons):
        body = {"size": 0, "track_total_hits": True, "query": {"range": {"_seq_no": {"gt": horizon}}}}
        params = {"preference": f"_shards:{shard}", "allow_partial_search_results": "false"}
        with cluster_errors():
            answer = client.search(index=index, body=body, params=params)
        hits_in_full(answer, f"shard {shard} of index {index!r} did not answer in full: try again")
        found += int(answer["hits"]["total"]["value"])
    return found


def _segments(client: OpenSearch, index: str) -> int | None:
    """Of the primaries: each is an HNSW graph of its own. None where that is not for this user to ask."""
    params = {"filter_path": "_all.primaries.segments.count"}
    try:
        with cluster_errors():
            stats = client.indices.stats(index=index, metric="segments", params=params)
    except ClusterError as error:
        if isinstance(error.__cause__, AuthorizationException):
            return None
        raise
    count = stats.get("_all", {}).get("primaries", {}).get("segments", {}).get("count")
    return int(count) if count is not None else None


def _ids_body(ids: Sequence[str]) -> dict[str, Any]:
    return {
        "query": {"ids": {"values": list(ids)}},
        "size": len(ids),
        "_source": False,
        "seq_no_primary_term": True,
        "track_total_hits": False,
    }


def _search(
    client: OpenSearch, index: str, body: dict[str, Any], params: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    params = {"allow_partial_search_results": "false", **(params or {})}
    with cluster_errors():
        response = client.search(index=index, body=body, params=params)
    return hits_in_full(response, f"index {index!r} did not answer in full: try again")


def _batches(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    remaining = iter(ids)
    while batch := list(islice(remaining, size)):
        yield batch


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 1.0
