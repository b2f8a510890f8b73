"""A search as a sequence of rounds, without I/O.

`plan` is a generator: it yields the requests of one round, is sent their responses, and returns the result. Who runs
it (a sync client, an async one, a batch over `_msearch`) only carries requests and responses, so every line of search
logic is here once, and in its parts: `candidates` (the first stages), this file (the reranks), `page` (the hits).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TypeAlias

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.engine import Engine
from opensearch_multivector.queries.candidates import Candidates, by_score, find_candidates
from opensearch_multivector.queries.explain import TokenSpans
from opensearch_multivector.queries.page import read_page, read_page_back, visible
from opensearch_multivector.queries.rerankers import Key, Reranked, Reranker, in_one_request, parse_rerank
from opensearch_multivector.queries.results import Hit, SearchResult
from opensearch_multivector.queries.rounds import Round, Rounds, Search, ask, by_key, slices

_UNKNOWN = Engine()
ABSENT = "is not in the sidecar yet: `osmv backfill` or `osmv follow` fills it"

# Few enough to be scored within some milliseconds.
_HITS_AT_ONCE = 32

Plan: TypeAlias = Rounds[SearchResult]


def plan(search: Search, spans: TokenSpans | None, engine: Engine = _UNKNOWN) -> Plan:
    """Plan one search, of a request that `SearchRequest.on` has checked.

    ``spans`` finds token spans for `explain`; None: tokens are named by their position.

    ``engine``: what OpenSearch can do, for a request that leaves that open (``fusion="auto"``, ``rerank="auto"``).

    The result's ``timings`` hold only what is computed here; the runner adds what it measured. What a round failed of
    is thrown in at its place: ClusterError, which ends the search unless it may be degraded. Raises MovedError.
    """
    request = search.request
    chain = in_one_request(parse_rerank(request.rerank, engine.scores))
    rerank = tuple(step.name for step in chain)
    if chain and request.degrade and not search.breaker.allows():
        search.give_up("rerank", "not tried, since it failed again and again in the last seconds")
        chain = ()
    timings: dict[str, float] = {}
    candidates, ranking, skipped = yield from _ranked(search, chain, engine, timings)
    if request.min_score is not None:
        ranking = [(key, score) for key, score in ranking if score >= request.min_score]

    first_scores = {} if candidates.rescored else dict(candidates.ranking)
    ranked = [Hit(key[1], score, key[0], first_scores.get(key)) for key, score in ranking]
    # What of a sidecar was seen holds in the user's index only where it is found there.
    if search.versions or (search.sidecar and request.explain):
        found = yield from read_page_back(search, ranked, spans)
        if skipped:
            seen = yield from visible(search, skipped)
            skipped = {doc_id: reason for doc_id, reason in skipped.items() if doc_id in seen}
    else:
        try:
            found = yield from read_page(search, ranked, spans)
        except ClusterError as error:
            if not request.degrade:
                raise
            search.give_up("fetch", error)
            found = ranked[request.offset : request.offset + request.size]
    handed_on = min(candidates.total, request.window_size) if candidates.rescored else len(candidates.ranking)
    return SearchResult(
        found,
        candidates.total,
        handed_on,
        skipped,
        timings,
        tuple(search.degraded),
        search.hedged,
        rerank,
        search.fetched_bytes,
    )


def _ranked(
    search: Search, chain: tuple[Reranker, ...], engine: Engine, timings: dict[str, float]
) -> Rounds[tuple[Candidates, list[tuple[Key, float]], dict[str, str]]]:
    """The candidates, and how they are ranked: as the first stage does where the rerank fails and that is wanted."""
    ended = False
    try:
        candidates = yield from find_candidates(search, chain, engine.fuses)
        timings["first_stage_took"] = candidates.took
        if not chain or not candidates.ranking:
            return candidates, candidates.ranking, {}
        try:
            if not (candidates.failed or candidates.rescored):
                search.budget.check("rerank")  # what took its time was not the rerank
            ended = True
            with search.breaker.attempt():
                if candidates.failed:
                    raise candidates.failed
                ranking, skipped = yield from _reranked(search, chain, candidates, timings)
        except ClusterError as error:
            if not search.request.degrade:
                raise
            search.give_up("rerank", error)
            return candidates, candidates.ranking, {}
        return candidates, ranking, skipped
    finally:
        if chain and not ended:
            search.breaker.gave_up()


def _reranked(
    search: Search, chain: tuple[Reranker, ...], candidates: Candidates, timings: dict[str, float]
) -> Rounds[tuple[list[tuple[Key, float]], dict[str, str]]]:
    """The candidates as the chain ranks them, and why some can't be."""
    ranking = candidates.ranking
    skipped: dict[str, str] = {}
    for number, reranker in enumerate(chain):
        if not ranking:
            break
        reranked = Reranked({})
        if number == 0 and candidates.rider is not None:
            _score(search, reranker, [candidates.hits[key] for key, _ in ranking], reranked, timings)
        else:
            hit_bytes = reranker.hit_bytes(search.spec)
            for keys in slices([key for key, _ in ranking], hit_bytes):
                hits = yield from _candidates_again(search, reranker, keys, hit_bytes * len(keys))
                _score(search, reranker, hits, reranked, timings)
                if search.sidecar is not None:
                    there = by_key(hits)
                    skipped |= {key[1]: ABSENT for key in keys if key not in there}
        # Equal scores keep the order there was. A candidate deleted between the rounds has no score and is gone.
        ranking = [(key, reranked.scores[key]) for key, _ in ranking if key in reranked.scores]
        ranking.sort(key=by_score)
        ranking = ranking[: reranker.keep or None]
        skipped |= reranked.skipped
    return ranking, skipped


def _candidates_again(
    search: Search, reranker: Reranker, keys: Sequence[Key], response_bytes: int
) -> Rounds[list[dict[str, Any]]]:
    """The candidates with what the reranker reads. In a sidecar the filter's fields may lack: it holds for the page."""
    body = search.of_vectors(reranker.body(search.spec, search.query, search.there(keys)))
    if search.sidecar is None:
        body = search.held(body)
    round_ = Round("rerank_fetch", [body], search.request.routing, response_bytes, indices=[search.vectors_in])
    (response,) = yield from ask(search, round_)
    hits = search.here(response["hits"]["hits"])
    if len(hits) < len(keys):
        search.missing = True
    return hits


def _score(
    search: Search,
    reranker: Reranker,
    hits: Sequence[dict[str, Any]],
    reranked: Reranked,
    timings: dict[str, float],
) -> None:
    """Raises BudgetError where what is computed here takes longer than the rerank may: it is seen to every few hits."""
    start = time.perf_counter()
    limited = search.budget.limits and reranker.hit_bytes(search.spec) > 0
    step = _HITS_AT_ONCE if limited else max(1, len(hits))
    for first in range(0, len(hits), step):
        if limited:
            search.budget.check("rerank")
        began = search.budget.clock()
        part = reranker.read(search.spec, search.query, hits[first : first + step])
        search.budget.spend("rerank", search.budget.clock() - began)
        reranked.scores.update(part.scores)
        reranked.skipped.update(part.skipped)
        search.fetched_bytes += part.fetched_bytes
    timings["rerank"] = timings.get("rerank", 0.0) + (time.perf_counter() - start) * 1e3
