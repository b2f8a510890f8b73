"""`Searcher`: runs search plans over a synchronous client."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException

from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.errors import OsmvError
from opensearch_multivector.plugin.artifacts import load_state
from opensearch_multivector.plugin.connection import POOL_SIZE
from opensearch_multivector.plugin.engine import Engine, ask_engine
from opensearch_multivector.plugin.fields import DEFAULT_FIELD, FieldSpec
from opensearch_multivector.plugin.sidecar import Sidecar, find_field, sidecar_stays
from opensearch_multivector.queries.breaker import Breaker
from opensearch_multivector.queries.budget import Budget
from opensearch_multivector.queries.delivery import Answer, Call, Delivery
from opensearch_multivector.queries.described import MOVES, REFRESH_AFTER, Described, Descriptions, Tried
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.explain import TokenSpans
from opensearch_multivector.queries.first_stages import Dsl
from opensearch_multivector.queries.observer import Observer, Place, observed, tell
from opensearch_multivector.queries.plan import plan
from opensearch_multivector.queries.query_encoder import QueryEncoder
from opensearch_multivector.queries.request import SearchRequest, check_clause, check_defaults
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.rounds import MovedError, Round, Search
from opensearch_multivector.queries.transport import advance, batches, book, took, with_timings

# Queries that are encoded together and go out together, less where their responses are too large for one.
_BATCH = 16


class Searcher:
    """Searches one multi-vector field of one index (or alias).

    The field's description is read from the index; encoders load at first use. ``tenant``: a query clause that every
    search of this searcher is held to, whatever its own filter says. ``queries`` is what encodes queries. Any option of
    `search` may be given here, too, as what holds where a search leaves it out. Safe to share between threads. Raises
    ClusterError where the index can't be read, MismatchError where it has no such field or a given encoder is not the
    index's.

    Where an alias is moved to another index, or an index or a sidecar made anew, also with another encoder, the
    description is read again, and the search begun again with it, so that none fails or finds nonsense. An index that
    is made anew under its own name is noticed ``refresh_after`` seconds later at the latest.

    ``breaker``: see `Breaker`; while it is open, searches with ``degrade=True`` are not reranked. ``observer``: is told
    of each search.

    Where the field was attached as a sidecar (``sidecar`` names it, for users who may not read where attachments are
    kept), that is searched, and hits are read from the index itself, under the caller's rights there.

        >>> searcher = Searcher(connect(), "articles")
        >>> searcher.search("how do bees find their way home?").hits[0].doc_id
    """

    def __init__(
        self,
        client: OpenSearch,
        index: str,
        *,
        field: str = DEFAULT_FIELD,
        encoder: Encoder | None = None,
        term_encoder: TermEncoder | None = None,
        tenant: Dsl | None = None,
        sidecar: str | None = None,
        refresh_after: float = REFRESH_AFTER,
        breaker: Breaker | None = None,
        observer: Observer | None = None,
        **defaults: Any,
    ) -> None:
        self.index = index
        if tenant is not None:
            check_clause("tenant", tenant)
        check_defaults(defaults)
        self._tenant = tenant
        self._defaults = defaults
        self._named = (field, sidecar)
        self.client = client
        self.breaker = breaker or Breaker()
        self._observer = observer
        self._place = Place(index, field)
        self._pool: ThreadPoolExecutor | None = None  # made for the first search that is hedged
        found = find_field(client, index, field, sidecar)
        self._descriptions = Descriptions(found.spec, encoder, term_encoder, refresh_after)
        self._descriptions.take(replace(found, spec=load_state(client, found.spec)))
        if observer is not None:
            tell(observer.watch, self._place, self.breaker)

    @property
    def spec(self) -> FieldSpec:
        """The field's description, as last read."""
        return self._descriptions.current.spec

    @property
    def sidecar(self) -> Sidecar | None:
        """What holds the field, where it is not the index itself."""
        return self._descriptions.current.sidecar

    @property
    def queries(self) -> QueryEncoder:
        """What encodes queries."""
        return self._descriptions.current.queries

    @property
    def vectors_in(self) -> str:
        """The index that holds `F.*`: the sidecar, where there is one."""
        return self.sidecar.name if self.sidecar else self.index

    def search(self, query: str | EncodedQuery, **options: Any) -> SearchResult:
        """Search for one query: a text, or an `EncodedQuery` with vectors made elsewhere.

        Options: ``first_stage`` (a name of `FIRST_STAGES`, with parameters after a colon: "codes:nprobe=8"; a fusion
        by RRF: "bm25+dense", or by weighted sum: "0.3*bm25+0.7*dense"), ``rerank`` (a name of `RERANKERS`, a chain of
        them: "bit:keep=100>client", or None; "auto", by default, is `native` where every node has the native plugin,
        else `client`, and none where the index holds no token vectors), ``size``, ``offset`` (paging, within the
        window), ``window_size`` (candidates that the first stage hands to the rerank), ``filter`` (an OpenSearch
        clause), ``source`` (True, False or field names), ``routing``, ``min_score`` (of the final score), ``explain``
        (token matches in each hit), ``fusion`` (where several first stages are fused: "engine", in OpenSearch's own
        `hybrid` query, which also saves the rerank a request; "client", here; "auto", by default, in the engine where
        that gives the same result), ``ties`` (which of a first stage's equal scores comes first: "engine", by default,
        as OpenSearch has it; "docid", the least id by its characters, as Anserini, at the window's edge, too: several
        times as fast where hundreds of hits are asked for with ``source=False``), ``time_budget`` (seconds for all of
        it), ``budgets`` (seconds by stage, of "first_stage", "rerank" and "fetch"), ``degrade`` (True: what fails or is
        too late is left out, and `SearchResult.degraded` says what: without its rerank the first stage's ranking,
        without their fetch hits without sources; False, by default: that is an error), ``hedge_after`` (seconds after
        which a request without an answer is sent a second time, to other copies of the shards, where there are).

        Raises InputError on options that make no sense, MismatchError where the index lacks what they need,
        ClusterError where the cluster refuses, BudgetError, which is one, where time is up.
        """
        request = self._request(query, options)
        start, budget = time.perf_counter(), request.budget()
        with observed(self._observer, self._place, [request]) as results:
            results += self._settled(lambda described: self._try(described, [request], [budget], start))
        return results[0]

    def search_many(self, queries: Sequence[str | EncodedQuery], **options: Any) -> list[SearchResult]:
        """`search` for many queries with the same options, in shared `_msearch` requests; results in their order."""
        results: list[SearchResult] = []
        for first in range(0, len(queries), _BATCH):
            requests = [self._request(query, options) for query in queries[first : first + _BATCH]]
            budgets = [request.budget() for request in requests]
            with observed(self._observer, self._place, requests) as batch:
                batch += self._settled(lambda described, r=requests, b=budgets: self._try(described, r, b))  # type: ignore[misc]
            results += batch
        return results

    def _request(self, query: str | EncodedQuery, options: dict[str, Any]) -> SearchRequest:
        return SearchRequest(query, **(self._defaults | options)).within(self._tenant)

    def _settled(self, try_: Callable[[Described], Tried]) -> list[SearchResult]:
        """Try until the description that was searched by is the one that holds; see `described`."""
        described = self._read() if self._descriptions.is_old() else self._descriptions.current
        repeated = False
        for _ in range(MOVES):
            tried = try_(described)
            now = self._look_again(described, tried)
            if now is described and not isinstance(tried.error, MovedError):
                if repeated or not tried.is_worth_another:
                    break
                repeated = True
            described = now
        return tried.outcome()

    def _look_again(self, described: Described, tried: Tried) -> Described:
        """The description that holds now, where there is reason to ask."""
        try:
            moved = tried.asks_again or not self._descriptions.same_shards(described, tried.searches)
            if not moved and not tried.error and described.sidecar:
                moved = not sidecar_stays(self.client, described.found)
            if not moved:
                return described
            return self._read()
        except OsmvError:
            if tried.says_enough:
                return described
            raise

    def _read(self) -> Described:
        found = find_field(self.client, self.index, *self._named)
        spec = self._descriptions.known(found) or load_state(self.client, found.spec)
        return self._descriptions.take(replace(found, spec=spec))

    def _try(
        self,
        described: Described,
        requests: Sequence[SearchRequest],
        budgets: Sequence[Budget],
        start: float | None = None,
    ) -> Tried:
        searches: list[Search] = []
        try:
            return Tried(searches, self._search(described, requests, budgets, searches, start))
        except (OsmvError, MovedError) as error:
            return Tried(searches, [], error)

    def _search(
        self,
        described: Described,
        requests: Sequence[SearchRequest],
        budgets: Sequence[Budget],
        searches: list[Search],
        start: float | None,
    ) -> list[SearchResult]:
        """Search by one description; ``start``: of a search that is alone, whose requests are its own."""
        asked = [request.on(described.spec, described.sidecar) for request in requests]
        for request in asked:
            self._descriptions.check_query(described, request.query)
        began = time.perf_counter()
        encoded = described.queries.encode([request.query for request in asked], asked[0].needs)
        share = (time.perf_counter() - began) * 1e3 / len(asked)
        timings = [{"encode": share} for _ in asked]
        searches += [
            Search(described.spec, request, query, described.sidecar, described.found.indices, budget, self.breaker)
            for request, query, budget in zip(asked, encoded, budgets, strict=True)
        ]
        engine, spans = self._engine_for(described, asked[0]), _spans(described, asked[0])
        plans = [plan(search, spans, engine) for search in searches]
        outcomes: list[SearchResult | Round] = [advance(running, None) for running in plans]
        while waiting := [(i, outcome) for i, outcome in enumerate(outcomes) if isinstance(outcome, Round)]:
            for batch in batches(waiting):
                sent = time.perf_counter()
                answers = self._deliver([(searches[i], round_) for i, round_ in batch])
                waited = (time.perf_counter() - sent) * 1e3
                for (i, round_), answer in zip(batch, answers, strict=True):
                    book(timings[i], round_.stage, waited if start is not None else took(answer))
                    outcomes[i] = advance(plans[i], answer)
        return [
            with_timings(outcome, timing, start)
            for outcome, timing in zip(outcomes, timings, strict=True)
            if isinstance(outcome, SearchResult)
        ]

    def _engine_for(self, described: Described, request: SearchRequest) -> Engine:
        if not request.asks_engine:
            return Engine()
        known = self._descriptions.engine(described)
        if known is None:
            name = described.sidecar.name if described.sidecar else self.index
            known = self._descriptions.learn(described, ask_engine(self.client, name))
        return known

    def _deliver(self, rounds: list[tuple[Search, Round]]) -> list[Answer]:
        delivery = Delivery(self.index, rounds)
        while call := delivery.next_call():
            time.sleep(call.pause)
            hedged = False
            try:
                if call.hedge_after is None:
                    response = self._send(call.kind, call.arguments)
                else:
                    response, hedged = self._hedged(call, call.hedge_after)
            except OpenSearchException as error:
                delivery.failed(error)
            else:
                delivery.answered(response, hedged)
        return delivery.answers()

    def _send(self, kind: str, arguments: dict[str, Any]) -> Any:
        return getattr(self.client, kind)(**arguments)

    def _hedged(self, call: Call, after: float) -> tuple[Any, bool]:
        """The first answer of two requests, of which the second was sent if ``after`` seconds brought none.

        The other's answer is read and thrown away: urllib3 knows no way to end a request. `AsyncSearcher` ends it.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(POOL_SIZE, "osmv-hedge")
        first, second = call.copies()
        running: set[Future[Any]] = {self._pool.submit(self._send, call.kind, first)}
        done, running = wait(running, after)
        hedged = not done
        if hedged:
            running = running | {self._pool.submit(self._send, call.kind, second)}
        while not any(each.exception() is None for each in done) and running:
            more, running = wait(running, return_when=FIRST_COMPLETED)
            done = done | more
        best = next((each for each in done if each.exception() is None), next(iter(done)))
        return best.result(), hedged


def _spans(described: Described, request: SearchRequest) -> TokenSpans | None:
    return described.queries.spans() if request.explain else None
