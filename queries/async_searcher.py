"""`AsyncSearcher`: runs search plans over an asyncio client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from opensearchpy.exceptions import OpenSearchException

from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.errors import BusyError, InputError, OsmvError
from opensearch_multivector.plugin.artifacts import load_state_async
from opensearch_multivector.plugin.engine import Engine, ask_engine_async
from opensearch_multivector.plugin.fields import DEFAULT_FIELD, FieldSpec
from opensearch_multivector.plugin.sidecar import Found, Sidecar, find_field_async, sidecar_stays_async
from opensearch_multivector.queries.breaker import Breaker
from opensearch_multivector.queries.budget import Budget
from opensearch_multivector.queries.delivery import Answer, Call, Delivery
from opensearch_multivector.queries.described import MOVES, REFRESH_AFTER, Described, Descriptions, Tried
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages import Dsl
from opensearch_multivector.queries.observer import Observer, Place, observed, tell
from opensearch_multivector.queries.plan import plan
from opensearch_multivector.queries.request import SearchRequest, check_clause, check_defaults
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.rounds import MovedError, Round, Search
from opensearch_multivector.queries.transport import advance, book, with_timings

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch  # only there with the extra `async`

# Searches under way at once in `search_many`: more would only queue in the cluster.
_CONCURRENT = 4
_WAITING = 100


class AsyncSearcher:
    """`Searcher` for asyncio: same options, same results. Made by `await AsyncSearcher.open(client, index)`.

    Encoding and scoring are computation, so they run in a thread; the event loop stays free. A search whose task is
    cancelled ends in OpenSearch, too.
    """

    def __init__(
        self,
        client: AsyncOpenSearch,
        index: str,
        found: Found,
        *,
        encoder: Encoder | None = None,
        term_encoder: TermEncoder | None = None,
        tenant: Dsl | None = None,
        sidecar: str | None = None,
        refresh_after: float = REFRESH_AFTER,
        breaker: Breaker | None = None,
        observer: Observer | None = None,
        max_concurrent: int | None = None,
        max_waiting: int = _WAITING,
        **defaults: Any,
    ) -> None:
        self.index = index
        if tenant is not None:
            check_clause("tenant", tenant)
        check_defaults(defaults)
        if (max_concurrent is not None and max_concurrent < 1) or max_waiting < 0:
            raise InputError(f"max_concurrent is at least 1 and max_waiting 0, not {max_concurrent} and {max_waiting}")
        self._tenant = tenant
        self._defaults = defaults
        self._named = (found.spec.field, sidecar)
        self._client = client
        self.breaker = breaker or Breaker()
        self._observer = observer
        self._place = Place(index, found.spec.field)
        self._descriptions = Descriptions(found.spec, encoder, term_encoder, refresh_after)
        self._descriptions.take(found)
        # Two encodings would only share the same cores, and keep a thread each waiting.
        self._encoding = asyncio.Lock()
        self._turns = None if max_concurrent is None else asyncio.Semaphore(max_concurrent)
        self._max_waiting = max_waiting
        self._waiting = 0
        if observer is not None:
            tell(observer.watch, self._place, self.breaker)

    @classmethod
    async def open(
        cls,
        client: AsyncOpenSearch,
        index: str,
        *,
        field: str = DEFAULT_FIELD,
        sidecar: str | None = None,
        **options: Any,
    ) -> AsyncSearcher:
        """Read the field's description from the index; takes and raises what `Searcher` does.

        And it takes ``max_concurrent`` (searches under way at once; None: any number) and ``max_waiting`` (as many more
        wait for their turn; those beyond raise BusyError).
        """
        found = await find_field_async(client, index, field, sidecar)
        found = replace(found, spec=await load_state_async(client, found.spec))
        return cls(client, index, found, sidecar=sidecar, **options)

    @property
    def spec(self) -> FieldSpec:
        """The field's description, as last read."""
        return self._descriptions.current.spec

    @property
    def sidecar(self) -> Sidecar | None:
        """What holds the field, where it is not the index itself."""
        return self._descriptions.current.sidecar

    async def search(self, query: str | EncodedQuery, **options: Any) -> SearchResult:
        """See `Searcher.search`."""
        request = SearchRequest(query, **(self._defaults | options)).within(self._tenant)
        start, budget = time.perf_counter(), request.budget()
        with observed(self._observer, self._place, [request]) as results:
            async with self._turn(budget):
                waited = (time.perf_counter() - start) * 1e3
                result = await self._settled(request, budget, start)
            if self._turns is not None:
                result = replace(result, timings={"wait": waited} | result.timings)
            results.append(result)
        return result

    async def search_many(self, queries: Sequence[str | EncodedQuery], **options: Any) -> list[SearchResult]:
        """`search` for many queries, a few at a time side by side; results in their order."""
        limit = asyncio.Semaphore(_CONCURRENT)

        async def one(query: str | EncodedQuery) -> SearchResult:
            async with limit:
                return await self.search(query, **options)

        try:
            async with asyncio.TaskGroup() as group:  # one that fails ends the others
                tasks = [group.create_task(one(query)) for query in queries]
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    @asynccontextmanager
    async def _turn(self, budget: Budget) -> AsyncIterator[None]:
        """One of the searches that may be under way. Raises BusyError, BudgetError."""
        if self._turns is None:
            yield
            return
        if self._turns.locked() and self._waiting >= self._max_waiting:
            raise BusyError(
                f"{self._waiting} searches wait for their turn already: search less at once, or raise max_concurrent "
                "or max_waiting"
            )
        self._waiting += 1
        try:
            left = budget.left()
            async with asyncio.timeout(None if left == inf else left):
                await self._turns.acquire()
        except TimeoutError:
            raise budget.error("first_stage") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    async def _settled(self, request: SearchRequest, budget: Budget, start: float) -> SearchResult:
        """As `Searcher._settled`."""
        described = await self._read() if self._descriptions.is_old() else self._descriptions.current
        repeated = False
        for _ in range(MOVES):
            tried = await self._try(described, request, budget, start)
            now = await self._look_again(described, tried)
            if now is described and not isinstance(tried.error, MovedError):
                if repeated or not tried.is_worth_another:
                    break
                repeated = True
            described = now
        (result,) = tried.outcome()
        return result

    async def _look_again(self, described: Described, tried: Tried) -> Described:
        """As `Searcher._look_again`."""
        try:
            moved = tried.asks_again or not self._descriptions.same_shards(described, tried.searches)
            if not moved and not tried.error and described.sidecar:
                moved = not await sidecar_stays_async(self._client, described.found)
            if not moved:
                return described
            return await self._read()
        except OsmvError:
            if tried.says_enough:
                return described
            raise

    async def _read(self) -> Described:
        field, sidecar = self._named
        found = await find_field_async(self._client, self.index, field, sidecar)
        spec = self._descriptions.known(found) or await load_state_async(self._client, found.spec)
        return self._descriptions.take(replace(found, spec=spec))

    async def _try(self, described: Described, request: SearchRequest, budget: Budget, start: float) -> Tried:
        searches: list[Search] = []
        try:
            return Tried(searches, [await self._search(described, request, budget, searches, start)])
        except (OsmvError, MovedError) as error:
            return Tried(searches, [], error)

    async def _search(
        self, described: Described, request: SearchRequest, budget: Budget, searches: list[Search], start: float
    ) -> SearchResult:
        """Search by one description."""
        request = request.on(described.spec, described.sidecar)
        self._descriptions.check_query(described, request.query)
        began = time.perf_counter()
        async with self._encoding:
            (encoded,) = await asyncio.to_thread(described.queries.encode, [request.query], request.needs)
            spans = await asyncio.to_thread(described.queries.spans) if request.explain else None
        timings = {"encode": (time.perf_counter() - began) * 1e3}
        found = described.found
        search = Search(described.spec, request, encoded, found.sidecar, found.indices, budget, self.breaker)
        searches.append(search)
        running = plan(search, spans, await self._engine_for(described, request))
        outcome = await asyncio.to_thread(advance, running, None)
        while isinstance(outcome, Round):
            sent = time.perf_counter()
            (answer,) = await self._deliver([(search, outcome)])
            book(timings, outcome.stage, (time.perf_counter() - sent) * 1e3)
            outcome = await asyncio.to_thread(advance, running, answer)
        return with_timings(outcome, timings, start)

    async def _engine_for(self, described: Described, request: SearchRequest) -> Engine:
        if not request.asks_engine:
            return Engine()
        known = self._descriptions.engine(described)
        if known is None:
            name = described.sidecar.name if described.sidecar else self.index
            known = self._descriptions.learn(described, await ask_engine_async(self._client, name))
        return known

    async def _deliver(self, rounds: list[tuple[Search, Round]]) -> list[Answer]:
        delivery = Delivery(self.index, rounds)
        while call := delivery.next_call():
            await asyncio.sleep(call.pause)
            hedged = False
            try:
                if call.hedge_after is None:
                    response = await self._send(call.kind, call.arguments)
                else:
                    response, hedged = await self._hedged(call, call.hedge_after)
            except OpenSearchException as error:
                delivery.failed(error)
            else:
                delivery.answered(response, hedged)
        return delivery.answers()

    async def _send(self, kind: str, arguments: dict[str, Any]) -> Any:
        return await getattr(self._client, kind)(**arguments)

    async def _hedged(self, call: Call, after: float) -> tuple[Any, bool]:
        """The first answer of two requests, of which the second was sent if ``after`` seconds brought none.

        The other's connection is closed, by which OpenSearch ends its search.
        """
        first, second = call.copies()
        tasks = [asyncio.create_task(self._send(call.kind, first))]
        try:
            done, running = await asyncio.wait(tasks, timeout=after)
            hedged = not done
            if hedged:
                tasks.append(asyncio.create_task(self._send(call.kind, second)))
                running = set(tasks)
            while not any(each.exception() is None for each in done) and running:
                more, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                done = done | more
            best = next((each for each in done if each.exception() is None), next(iter(done)))
            return best.result(), hedged
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
