"""A search of the API: from what was asked to searches of `AsyncSearcher`, and from their results to what is told."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from opensearch_multivector.errors import ClusterError, InputError, MismatchError
from opensearch_multivector.ops.service import schema
from opensearch_multivector.ops.service.auth import Caller
from opensearch_multivector.ops.service.encoders import Encoders, SharedEncoder
from opensearch_multivector.ops.service.errors import RefusalError
from opensearch_multivector.ops.service.parts import EncodedPart, encode_parts, liked_text, places_of, pooled, stacked
from opensearch_multivector.ops.service.timeline import Timeline
from opensearch_multivector.plugin.artifacts import load_state_async
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sidecar import find_field_async
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.base import MAX_WINDOW
from opensearch_multivector.queries.observer import Observer
from opensearch_multivector.queries.rerankers import Key, parse_rerank
from opensearch_multivector.queries.results import Hit, SearchResult, TokenMatch

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch

Answer = TypeVar("Answer")

# By caller, index and field; the least used are let go.
_SEARCHERS = 256


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one search may cost: candidates, and seconds."""

    window_size: int = 1000
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class _Found:
    """A page of hits, and the result that it came of."""

    hits: list[Hit]
    result: SearchResult
    degraded: tuple[str, ...] = ()


class Searches:
    """Searches of all callers; each has searchers of its own, which are bound to the tenant. Of one event loop."""

    def __init__(self, client: AsyncOpenSearch, bounds: Bounds, observer: Observer | None = None) -> None:
        self.client = client
        self.encoders = Encoders()
        self._bounds = bounds
        self._observer = observer
        self._searchers: OrderedDict[tuple[str, str, str], AsyncSearcher] = OrderedDict()

    @property
    def breakers(self) -> dict[str, str]:
        """The state of each searcher's circuit breaker, the worst one where an index has several."""
        order = ("closed", "half-open", "open")
        states: dict[str, str] = {}
        for (_, index, field), searcher in self._searchers.items():
            name, state = f"{index}/{field}", searcher.breaker.state
            states[name] = max(states.get(name, "closed"), state, key=order.index)
        return states

    async def searcher(self, caller: Caller, index: str, field: str) -> AsyncSearcher:
        """The caller's searcher of an index. Raises what `AsyncSearcher.open` does, RefusalError."""
        caller.check_index(index)
        key = (caller.name, index, field)
        if key not in self._searchers:
            found = await find_field_async(self.client, index, field)
            found = replace(found, spec=await load_state_async(self.client, found.spec))
            encoder = self.encoders.of(found.spec.vectors)
            if encoder is not None:  # which takes seconds the first time, and no search's time
                await asyncio.to_thread(encoder.load)
            made = AsyncSearcher(
                self.client,
                index,
                found,
                encoder=encoder,
                term_encoder=self.encoders.terms_of(found.spec.terms),
                tenant=caller.tenant,
                observer=self._observer,
            )
            self._searchers.setdefault(key, made)
            if len(self._searchers) > _SEARCHERS:
                self._searchers.popitem(last=False)
        self._searchers.move_to_end(key)
        return self._searchers[key]

    async def search(
        self, asked: schema.Search, caller: Caller, timeline: Timeline, request_id: str
    ) -> schema.SearchAnswer:
        """Answer a search. Raises RefusalError, OsmvError."""
        _check(asked, caller, self._bounds)

        async def once(searcher: AsyncSearcher) -> schema.SearchAnswer:
            return await _Searching(self, searcher, asked, caller, timeline, self._bounds).answer(request_id)

        return await self.with_searcher(caller, asked, once)

    async def with_searcher(
        self, caller: Caller, asked: schema.Query, run: Callable[[AsyncSearcher], Awaitable[Answer]]
    ) -> Answer:
        """What comes of it with the caller's searcher, or with one made anew where that was of another encoder.

        An alias that leads to an index of another encoder by now is followed by a searcher for texts alone.
        """
        try:
            return await run(await self.searcher(caller, asked.index, asked.field))
        except MismatchError:
            if self._searchers.pop((caller.name, asked.index, asked.field), None) is None:
                raise
        return await run(await self.searcher(caller, asked.index, asked.field))

    async def encoded(self, spec: FieldSpec, parts: Sequence[schema.Part]) -> list[EncodedPart]:
        """The parts as vectors. Raises InputError where the index has no encoder for them."""
        spec.need_vectors("a query of parts")
        encoder: SharedEncoder | None = self.encoders.of(spec.vectors)
        if encoder is None:
            raise InputError("the index holds vectors that were brought ready-made, so nothing here encodes a query")
        return await asyncio.to_thread(encode_parts, parts, encoder)


class _Searching:
    """One search under way."""

    def __init__(
        self,
        searches: Searches,
        searcher: AsyncSearcher,
        asked: schema.Search,
        caller: Caller,
        timeline: Timeline,
        bounds: Bounds,
    ) -> None:
        self._searches = searches
        self._searcher = searcher
        self._asked = asked
        self._caller = caller
        self._timeline = timeline
        self._until = time.monotonic() + min(asked.time_budget or bounds.seconds, bounds.seconds)
        self._parts: list[EncodedPart] = []

    async def answer(self, request_id: str) -> schema.SearchAnswer:
        """See `Searches.search`."""
        asked = self._asked
        query = await self._query()
        if any(part.weight < 0 for part in self._parts):
            found = await self._liked_less(query)
        else:
            result = await self._search(
                query,
                size=asked.size,
                offset=asked.offset,
                source=asked.source,
                explain=asked.explain,
                min_score=asked.min_score,
                **self._options(),
            )
            found = _Found(result.hits, result)
        first = await self._first_stage(query, found) if asked.compare else None
        return self._told(found, first, request_id)

    async def _query(self) -> str | EncodedQuery:
        """What to search with: a text as it is, so that the searcher sees to the right encoder; parts as vectors."""
        asked = self._asked
        if asked.parts is None:
            assert asked.query is not None
            return asked.query if asked.dsl is None else EncodedQuery(asked.query, dsl=asked.dsl)
        with self._timeline.stage("encode"):
            self._parts = await self._searches.encoded(self._searcher.spec, asked.parts)
        liked = [part for part in self._parts if part.weight > 0]
        return EncodedQuery(liked_text(self._parts), vectors=stacked(liked), pooled=pooled(self._parts), dsl=asked.dsl)

    def _options(self) -> dict[str, Any]:
        asked = self._asked
        return {
            "first_stage": asked.first_stage,
            "rerank": asked.rerank,
            "fusion": asked.fusion,
            "ties": asked.ties,
            "window_size": asked.window_size,
        }

    async def _search(self, query: str | EncodedQuery, *, named: str | None = None, **options: Any) -> SearchResult:
        """One of the searches that this one consists of, shown as one bar where it is ``named``."""
        asked = self._asked
        start = self._timeline.now()
        result = await self._searcher.search(
            query,
            filter=asked.filter,
            routing=asked.routing,
            degrade=asked.degrade,
            time_budget=max(0.001, self._until - time.monotonic()),
            **options,
        )
        if named is None:
            self._timeline.search(start, result.timings)
        else:
            self._timeline.add(named, start, self._timeline.now() - start)
        return result

    async def _again(self, query: EncodedQuery, keys: Sequence[Key], named: str, **options: Any) -> SearchResult:
        """Search among these documents alone, all of them."""
        ids = sorted({doc_id for _, doc_id in keys})
        # Behind an alias another index may hold one of the ids, too.
        window_size = min(MAX_WINDOW, len(ids) * len({index for index, _ in keys}))
        query = replace(query, dsl={"ids": {"values": ids}})
        return await self._search(
            query, named=named, first_stage="query", size=window_size, window_size=window_size, **options
        )

    async def _liked_less(self, query: str | EncodedQuery) -> _Found:
        """The page by the score of all parts, those of negative weight among them."""
        asked = self._asked
        chain = parse_rerank(asked.rerank)
        if not chain or chain[-1].needs != "vectors":
            raise InputError("parts of negative weight need a rerank by token vectors: give auto, native or client")
        size = min([asked.window_size, *(step.keep for step in chain if step.keep)])
        positive = await self._search(query, size=size, source=False, **self._options())
        if not positive.hits:
            return _Found([], positive)
        page = slice(asked.offset, asked.offset + asked.size)
        ranked, degraded = positive.hits, positive.degraded
        if any(reason.startswith("rerank") for reason in degraded):
            degraded = (*degraded, "negative: left out, as the rerank is")
        else:
            disliked = stacked([part for part in self._parts if part.weight < 0])
            keys = [_key(hit) for hit in ranked]
            try:
                negative = await self._again(
                    EncodedQuery(vectors=disliked), keys, "negative", rerank="auto", source=False
                )
            except ClusterError as error:
                if not asked.degrade:
                    raise
                degraded = (*degraded, f"negative: {error}")
            else:
                if negative.degraded:
                    degraded = (*degraded, "negative: left out, since it could not be scored")
                else:
                    taken = {_key(hit): hit.score for hit in negative.hits}
                    ranked = [replace(hit, score=hit.score - taken[_key(hit)]) for hit in ranked if _key(hit) in taken]
                    ranked.sort(key=lambda hit: -hit.score)
        if asked.min_score is not None:
            ranked = [hit for hit in ranked if hit.score >= asked.min_score]
        return _Found(await self._fetched(ranked[page]), positive, degraded)

    async def _fetched(self, page: list[Hit]) -> list[Hit]:
        """The hits with their sources and matches; those that are gone by now are left out."""
        asked = self._asked
        if not page or (asked.source is False and not asked.explain):
            return page
        query = EncodedQuery(vectors=stacked(self._parts, weighted=False))
        options: dict[str, Any] = {"source": asked.source, "explain": asked.explain, "rerank": None}
        read = await self._again(query, [_key(hit) for hit in page], "fetch", **options)
        there = {_key(hit): hit for hit in read.hits}
        return [
            replace(
                there[_key(hit)],
                score=hit.score,
                first_stage_score=hit.first_stage_score,
                stale=hit.stale or there[_key(hit)].stale,
            )
            for hit in page
            if _key(hit) in there
        ]

    async def _first_stage(self, query: str | EncodedQuery, found: _Found) -> list[Hit]:
        """The window as the first stage alone ranks it; its page with sources."""
        asked = self._asked
        options = self._options() | {"rerank": None}
        window = (await self._search(query, named="compare", size=asked.window_size, source=False, **options)).hits
        have = {_key(hit): hit for hit in found.hits}
        lacking = [_key(hit) for hit in window[: asked.size] if _key(hit) not in have]
        if lacking and asked.source is not False:
            read = await self._again(EncodedQuery(), lacking, "compare", source=asked.source, rerank=None)
            have |= {_key(hit): hit for hit in read.hits}
        return [
            replace(have[_key(hit)], score=hit.score) if place < asked.size and _key(hit) in have else hit
            for place, hit in enumerate(window)
        ]

    def _told(self, found: _Found, first: list[Hit] | None, request_id: str) -> schema.SearchAnswer:
        asked, spec, result = self._asked, self._searcher.spec, found.result
        places = {_key(hit): place for place, hit in enumerate(first or (), 1)}
        final = {_key(hit): rank for rank, hit in enumerate(found.hits, asked.offset + 1)}
        scores = {_key(hit): hit.score for hit in first or ()}
        hits = []
        for rank, hit in enumerate(found.hits, asked.offset + 1):
            matches = None if hit.matches is None else self._matches(hit.matches)
            first_score = hit.first_stage_score if hit.first_stage_score is not None else scores.get(_key(hit))
            hits.append(
                schema.Hit(
                    rank=rank,
                    doc_id=hit.doc_id,
                    index=hit.index,
                    score=hit.score,
                    first_stage_score=first_score,
                    first_stage_rank=places.get(_key(hit)),
                    part_scores=part_scores(matches, len(self._parts)) if matches and len(self._parts) > 1 else None,
                    source=hit.source,
                    text=spec.text_of(hit.source),
                    matches=matches,
                    stale=hit.stale,
                )
            )
        return schema.SearchAnswer(
            request_id=request_id,
            index=asked.index,
            field=asked.field,
            first_stage=asked.first_stage,
            rerank=">".join(result.rerank) or None,
            parts=self._parts_told(),
            hits=hits,
            first_stage_hits=None
            if first is None
            else [
                schema.FirstStageHit(
                    rank=rank,
                    doc_id=hit.doc_id,
                    index=hit.index,
                    score=hit.score,
                    final_rank=final.get(_key(hit)),
                    text=spec.text_of(hit.source),
                )
                for rank, hit in enumerate(first[: asked.size], 1)
            ],
            total=result.total,
            candidates=result.candidates,
            skipped=result.skipped,
            degraded=self._degraded(found.degraded or result.degraded),
            stale=sum(hit.stale for hit in found.hits),
            hedged=result.hedged,
            stages=self._timeline.stages,
            took_ms=round(self._timeline.now(), 3),
        )

    def _degraded(self, reasons: Sequence[str]) -> list[str]:
        """What is missing, and why; the reasons, which may name addresses of the cluster, are for operators."""
        if self._caller.operator:
            return list(reasons)
        return [f"{reason.partition(':')[0]}: left out, since it failed or came too late" for reason in reasons]

    def _parts_told(self) -> list[schema.QueryPart]:
        if not self._parts:
            return [schema.QueryPart(kind="text", text=self._asked.query, weight=1.0, tokens=None)]
        return [
            schema.QueryPart(
                kind="image" if part.text is None else "text", text=part.text, weight=part.weight, tokens=part.count
            )
            for part in self._parts
        ]

    def _matches(self, matches: Sequence[TokenMatch]) -> list[schema.TokenMatch]:
        """The searcher's matches; those of parts are by the stacked vectors, which are liked ones where all are."""
        if not self._parts:
            return [
                told_match(match, 0, match.query_token, match.query_span, 1.0, match.similarity) for match in matches
            ]
        unweighted = any(part.weight < 0 for part in self._parts)
        told = []
        for match, (number, part, i) in zip(matches, places_of(self._parts), strict=False):
            token, span = part.token(i)
            similarity = match.similarity if unweighted else match.similarity / part.weight
            told.append(told_match(match, number, token, span, part.weight, similarity))
        return told


def told_match(
    match: TokenMatch, part: int, token: str, span: schema.Span | None, weight: float, similarity: float
) -> schema.TokenMatch:
    """A match of a part's token."""
    return schema.TokenMatch(
        part=part,
        query_token=token,
        document_token=match.document_token,
        similarity=similarity,
        contribution=similarity * weight,
        query_span=span,
        document_span=match.document_span,
    )


def part_scores(matches: Sequence[schema.TokenMatch], count: int) -> list[float]:
    """Each part's MaxSim, from its tokens' matches."""
    return [sum(match.similarity for match in matches if match.part == part) for part in range(count)]


def _check(asked: schema.Search, caller: Caller, bounds: Bounds) -> None:
    """Raise RefusalError, InputError on what this service does for nobody, or not for this caller."""
    if not caller.filters and (asked.filter is not None or asked.dsl is not None):
        raise RefusalError(403, "forbidden", "this service takes no query clauses of yours: leave out filter and dsl")
    if asked.window_size > bounds.window_size:
        raise InputError(f"window_size is at most {bounds.window_size:,} here")
    if any(step.name == "painless" for step in parse_rerank(asked.rerank)):
        raise InputError("rerank 'painless' runs scripts in the cluster, which this service does for nobody")


def _key(hit: Hit) -> Key:
    return hit.index, hit.doc_id
