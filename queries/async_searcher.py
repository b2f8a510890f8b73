"""`AsyncSearcher`: runs search plans over an asyncio client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tenacity import AsyncRetrying

from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.plugin.artifacts import load_state_async
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.engine import Engine, ask_engine_async
from opensearch_multivector.plugin.fields import DEFAULT_FIELD, FieldSpec
from opensearch_multivector.plugin.sidecar import Sidecar, find_field_async
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages import Dsl
from opensearch_multivector.queries.plan import plan
from opensearch_multivector.queries.query_encoder import QueryEncoder
from opensearch_multivector.queries.request import SearchRequest, check_clause
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.rounds import Response, Round
from opensearch_multivector.queries.transport import (
    PATIENCE,
    advance,
    book,
    msearch_lines,
    responses_of_batch,
    search_params,
    takes_msearch,
    with_timings,
)

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch  # only there with the extra `async`

# Searches under way at once in `search_many`: more would only queue in the cluster.
_CONCURRENT = 4


class AsyncSearcher:
    """`Searcher` for asyncio: same options, same results. Made by `await AsyncSearcher.open(client, index)`.

    Encoding and scoring are computation, so they run in a thread; the event loop stays free.
    """

    def __init__(
        self,
        client: AsyncOpenSearch,
        index: str,
        spec: FieldSpec,
        encoder: Encoder | None = None,
        term_encoder: TermEncoder | None = None,
        tenant: Dsl | None = None,
        sidecar: Sidecar | None = None,
    ) -> None:
        self.index = index
        if tenant is not None:
            check_clause("tenant", tenant)
        self._tenant = tenant
        self._engine: Engine | None = None  # asked for at the first search that leaves something open
        self.spec = spec
        self.sidecar = sidecar
        self._client = client
        self._queries = QueryEncoder(spec, encoder, term_encoder)
        # Tokenizers are not made for several threads at once, and two encodings would only share the same cores.
        self._encoding = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        client: AsyncOpenSearch,
        index: str,
        *,
        field: str = DEFAULT_FIELD,
        encoder: Encoder | None = None,
        term_encoder: TermEncoder | None = None,
        tenant: Dsl | None = None,
        sidecar: str | None = None,
    ) -> AsyncSearcher:
        """Read the field's description from the index; takes and raises what `Searcher` does."""
        spec, found = await find_field_async(client, index, field, sidecar)
        return cls(client, index, await load_state_async(client, spec), encoder, term_encoder, tenant, found)

    async def search(self, query: str | EncodedQuery, **options: Any) -> SearchResult:
        """See `Searcher.search`."""
        request = SearchRequest(query, **options).within(self._tenant).on(self.spec, self.sidecar)
        start = time.perf_counter()
        async with self._encoding:
            (encoded,) = await asyncio.to_thread(self._queries.encode, [query], request.needs)
            spans = await asyncio.to_thread(self._queries.spans) if request.explain else None
        timings = {"encode": (time.perf_counter() - start) * 1e3}
        running = plan(self.spec, request, encoded, spans, await self._engine_for(request), self.sidecar)
        outcome = await asyncio.to_thread(advance, running, None)
        while isinstance(outcome, Round):
            sent = time.perf_counter()
            answer = await self._run(outcome)
            book(timings, outcome.stage, (time.perf_counter() - sent) * 1e3)
            outcome = await asyncio.to_thread(advance, running, answer)
        return with_timings(outcome, timings, start)

    async def search_many(self, queries: Sequence[str | EncodedQuery], **options: Any) -> list[SearchResult]:
        """`search` for many queries, a few at a time side by side; results in their order."""
        limit = asyncio.Semaphore(_CONCURRENT)

        async def one(query: str | EncodedQuery) -> SearchResult:
            async with limit:
                return await self.search(query, **options)

        return list(await asyncio.gather(*map(one, queries)))

    async def _engine_for(self, request: SearchRequest) -> Engine:
        if self._engine is None and request.asks_engine:
            self._engine = await ask_engine_async(self._client, self.sidecar.name if self.sidecar else self.index)
        return self._engine or Engine()

    async def _run(self, round_: Round) -> list[Response]:
        async def send() -> list[Response]:
            if len(round_.bodies) == 1 or not takes_msearch(round_):
                params = search_params(round_)
                return [
                    await self._client.search(body=body, index=index or self.index, params=params)
                    for index, body in round_.sent
                ]
            response = await self._client.msearch(body=msearch_lines([round_]), index=self.index)
            return responses_of_batch([round_], response)[0]

        with cluster_errors():
            answers: list[Response] = await AsyncRetrying(**PATIENCE)(send)
            return answers
