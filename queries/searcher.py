"""`Searcher`: runs search plans over a synchronous client."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from opensearchpy import OpenSearch
from tenacity import Retrying

from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.plugin.artifacts import load_state
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.engine import Engine, ask_engine
from opensearch_multivector.plugin.fields import DEFAULT_FIELD
from opensearch_multivector.plugin.sidecar import find_field
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.explain import TokenSpans
from opensearch_multivector.queries.first_stages import Dsl
from opensearch_multivector.queries.plan import Plan, plan
from opensearch_multivector.queries.query_encoder import QueryEncoder
from opensearch_multivector.queries.request import SearchRequest, check_clause
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.rounds import Response, Round
from opensearch_multivector.queries.transport import (
    PATIENCE,
    advance,
    batches,
    book,
    msearch_lines,
    responses_of_batch,
    search_params,
    takes_msearch,
    with_timings,
)

# Queries that are encoded together and go out together, less where their responses are too large for one.
_BATCH = 16


class Searcher:
    """Searches one multi-vector field of one index (or alias).

    The field's description is read from the index once, here; encoders load at first use. ``tenant``: a query clause
    that every search of this searcher is held to, whatever its own filter says. ``queries`` is what encodes queries.
    Safe to share between threads after the first search. Raises ClusterError where the index can't be read,
    MismatchError where it has no such field or a given encoder is not the index's.

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
    ) -> None:
        self.index = index
        if tenant is not None:
            check_clause("tenant", tenant)
        self._tenant = tenant
        self._engine: Engine | None = None  # asked for at the first search that leaves something open
        spec, self.sidecar = find_field(client, index, field, sidecar)
        self.spec = load_state(client, spec)
        self.client = client
        self.queries = QueryEncoder(self.spec, encoder, term_encoder)

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
        times as fast where hundreds of hits are asked for with ``source=False``).

        Raises InputError on options that make no sense, MismatchError where the index lacks what they need,
        ClusterError where the cluster refuses.
        """
        request = SearchRequest(query, **options).within(self._tenant).on(self.spec, self.sidecar)
        start = time.perf_counter()
        (encoded,) = self.queries.encode([query], request.needs)
        timings = {"encode": (time.perf_counter() - start) * 1e3}
        running = plan(self.spec, request, encoded, self._spans(request), self._engine_for(request), self.sidecar)
        outcome = advance(running, None)
        while isinstance(outcome, Round):
            sent = time.perf_counter()
            answer = self._run(outcome)
            book(timings, outcome.stage, (time.perf_counter() - sent) * 1e3)
            outcome = advance(running, answer)
        return with_timings(outcome, timings, start)

    def search_many(self, queries: Sequence[str | EncodedQuery], **options: Any) -> list[SearchResult]:
        """`search` for many queries with the same options, in shared `_msearch` requests; results in their order."""
        results: list[SearchResult] = []
        for first in range(0, len(queries), _BATCH):
            results += self._search_batch(queries[first : first + _BATCH], options)
        return results

    def _search_batch(self, queries: Sequence[str | EncodedQuery], options: dict[str, Any]) -> list[SearchResult]:
        requests = [
            SearchRequest(query, **options).within(self._tenant).on(self.spec, self.sidecar) for query in queries
        ]
        start = time.perf_counter()
        encoded = self.queries.encode(queries, requests[0].needs)
        share = (time.perf_counter() - start) * 1e3 / len(queries)
        timings = [{"encode": share} for _ in queries]
        plans: list[Plan] = [
            plan(self.spec, request, query, self._spans(request), self._engine_for(request), self.sidecar)
            for request, query in zip(requests, encoded, strict=True)
        ]
        outcomes: list[SearchResult | Round] = [advance(running, None) for running in plans]
        while waiting := [(i, outcome) for i, outcome in enumerate(outcomes) if isinstance(outcome, Round)]:
            for batch in batches(waiting):
                answers = self._run_batch([round_ for _, round_ in batch])
                for (i, round_), answer in zip(batch, answers, strict=True):
                    book(timings[i], round_.stage, sum(response["took"] for response in answer))
                    outcomes[i] = advance(plans[i], answer)
        return [
            with_timings(outcome, timing)
            for outcome, timing in zip(outcomes, timings, strict=True)
            if isinstance(outcome, SearchResult)
        ]

    def _engine_for(self, request: SearchRequest) -> Engine:
        if self._engine is None and request.asks_engine:
            self._engine = ask_engine(self.client, self.vectors_in)
        return self._engine or Engine()

    def _spans(self, request: SearchRequest) -> TokenSpans | None:
        return self.queries.spans() if request.explain else None

    def _run(self, round_: Round) -> list[Response]:
        if len(round_.bodies) > 1 and takes_msearch(round_):
            return self._run_batch([round_])[0]
        params = search_params(round_)
        with cluster_errors():
            return [
                self._patiently(self.client.search, body=body, index=index or self.index, params=params)
                for index, body in round_.sent
            ]

    def _run_batch(self, rounds: list[Round]) -> list[list[Response]]:
        if not all(map(takes_msearch, rounds)):
            return [self._run(round_) for round_ in rounds]

        def send(**arguments: Any) -> list[list[Response]]:
            return responses_of_batch(rounds, self.client.msearch(**arguments))

        with cluster_errors():
            answers: list[list[Response]] = self._patiently(send, body=msearch_lines(rounds), index=self.index)
            return answers

    def _patiently(self, request: Callable[..., Any], **arguments: Any) -> Any:
        return Retrying(**PATIENCE)(request, **arguments)
