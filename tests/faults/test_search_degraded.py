"""What fails or is late in a search is an error, unless it may be degraded: then the result says what it lacks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attached_index import AttachedIndex, make_attached, remove_attached
from flaky_proxy import Exchange, flaky_proxy
from opensearchpy import OpenSearch
from same_hits import assert_same_hits, assert_same_ranking, ranking
from slow_index import connections, make_slow, slow_query
from small_index import EVERY_RERANK, SmallIndex, make_index, make_query
from typer.testing import CliRunner

from opensearch_multivector.cli.main import app
from opensearch_multivector.errors import BudgetError, BusyError, ClusterError
from opensearch_multivector.plugin.connection import connect, connect_async
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.breaker import Breaker
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

QUERY = make_query()
SEARCHES = ("_search", "_msearch")
# Fused here, so that the rerank has a request of its own.
APART: dict[str, Any] = {"first_stage": "bm25+dense", "fusion": "client", "size": 5}
Fault = Callable[[Exchange], None]


@pytest.fixture(scope="module")
def small(client: OpenSearch) -> Iterator[SmallIndex]:
    name = "osmv-test-degraded"
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    yield make_index(client, name, count=20, shards=1)
    client.indices.delete(index=name)


def where(is_it: Callable[[dict[str, Any]], bool], fault: Fault) -> Fault:
    """The fault for requests that hold such a body; all others pass."""

    def of(exchange: Exchange) -> None:
        if any(is_it(json.loads(line)) for line in exchange.body.splitlines()):
            fault(exchange)
        else:
            exchange.forward()

    return of


def is_rerank(body: dict[str, Any]) -> bool:
    """The rerank's own request, or one that takes it along to be done by OpenSearch."""
    by_id = "ids" in json.dumps(body.get("query", {}))
    return "rescore" in body or (by_id and ("docvalue_fields" in body or "script_score" in json.dumps(body)))


def is_fetch(body: dict[str, Any]) -> bool:
    return "ids" in json.dumps(body.get("query", {})) and body.get("_source") is True


def refused(exchange: Exchange) -> None:
    exchange.refuse(500, "broken_exception")


def late(exchange: Exchange) -> None:
    time.sleep(3)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        exchange.forward()


def garbled(exchange: Exchange) -> None:
    exchange.reply(200, b'{"answer": 42}')


def cut(exchange: Exchange) -> None:
    _, body = exchange.upstream(exchange.body)
    exchange.reply(200, body[: len(body) // 2])


def with_answer(**changes: Any) -> Fault:
    def altered(exchange: Exchange) -> None:
        status, body = exchange.upstream(exchange.body)
        answer = json.loads(body)
        for each in answer.get("responses", [answer]):
            each.update(changes)
        exchange.reply(status, json.dumps(answer).encode())

    return altered


async def every_way(url: str, index: str, **options: Any) -> list[SearchResult | Exception]:
    """The same search in all three ways: a result, or why there is none."""
    found: list[SearchResult | Exception] = []
    with connect(url, timeout=60) as client:
        for many in (False, True):
            searcher = Searcher(client, index)
            try:
                search = searcher.search_many([QUERY, QUERY], **options)[1] if many else None
                found.append(search or searcher.search(QUERY, **options))
            except Exception as error:
                found.append(error)
    async with connect_async(url, timeout=60) as client_async:
        try:
            found.append(await (await AsyncSearcher.open(client_async, index)).search(QUERY, **options))
        except Exception as error:
            found.append(error)
    return found


@pytest.mark.parametrize("rerank", EVERY_RERANK)
async def test_without_its_rerank_it_is_the_first_stage(
    rerank: str, client: OpenSearch, node_url: str, small: SmallIndex
) -> None:
    for stage in (APART, {"first_stage": "dense", "size": 5}):
        own = stage == APART or rerank in ("native", "painless")
        expected = Searcher(client, small.name).search(QUERY, rerank=None, **stage).hits
        with flaky_proxy(node_url, where(is_rerank, refused), SEARCHES) as proxy:
            for failed in await every_way(proxy.url, small.name, rerank=rerank, **stage) if own else ():
                assert isinstance(failed, ClusterError), failed
            for result in await every_way(proxy.url, small.name, rerank=rerank, degrade=True, **stage) if own else ():
                assert isinstance(result, SearchResult), result
                assert [reason.split(":")[0] for reason in result.degraded] == ["rerank"]
                assert_same_ranking(ranking(result.hits), ranking(expected))
                assert all(hit.source for hit in result.hits)


@pytest.mark.parametrize("fault", [late, garbled, cut])
async def test_late_and_garbled_answers(fault: Fault, client: OpenSearch, node_url: str, small: SmallIndex) -> None:
    options = APART | {"rerank": "client"}
    budgets = {"budgets": {"rerank": 0.4}}
    expected = Searcher(client, small.name).search(QUERY, **APART | {"rerank": None}).hits
    with flaky_proxy(node_url, where(is_rerank, fault), SEARCHES) as proxy:
        began = time.monotonic()
        for failed in await every_way(proxy.url, small.name, **options, **budgets):
            assert isinstance(failed, BudgetError if fault is late else ClusterError), failed
        for result in await every_way(proxy.url, small.name, degrade=True, **options, **budgets):
            assert isinstance(result, SearchResult), result
            assert len(result.degraded) == 1
            assert [hit.doc_id for hit in result.hits] == [hit.doc_id for hit in expected]
            assert all(hit.source for hit in result.hits)
        # A late answer is not waited for, let alone asked for again.
        assert fault is not late or time.monotonic() - began < 6 * 3


async def test_without_their_fetch_hits_have_no_sources(client: OpenSearch, node_url: str, small: SmallIndex) -> None:
    options: dict[str, Any] = {"first_stage": "dense", "size": 5}
    expected = Searcher(client, small.name).search(QUERY, **options)
    unassigned = with_answer(_shards={"total": 2, "successful": 1, "skipped": 0, "failed": 0})
    for fault in (late, with_answer(timed_out=True), with_answer(_shards={"total": 1, "failed": 1}), unassigned):
        budgets = {"budgets": {"fetch": 0.4}} if fault is late else {}
        with flaky_proxy(node_url, where(is_fetch, fault), SEARCHES) as proxy:
            for failed in await every_way(proxy.url, small.name, **options, **budgets):
                assert isinstance(failed, ClusterError), failed
            for result in await every_way(proxy.url, small.name, degrade=True, **options, **budgets):
                assert isinstance(result, SearchResult), result
                assert [reason.split(":")[0] for reason in result.degraded] == ["fetch"]
                assert [hit.doc_id for hit in result.hits] == [hit.doc_id for hit in expected.hits]
                assert [hit.score for hit in result.hits] == pytest.approx([hit.score for hit in expected.hits])
                assert not any(hit.source for hit in result.hits)


async def test_hits_of_a_sidecar_are_never_shown_unread(client: OpenSearch, node_url: str, index_name: str) -> None:
    """Only the user's own index says whether the caller may see them."""
    attached: AttachedIndex = make_attached(client, index_name, count=12, shards=1)
    try:
        with flaky_proxy(node_url, where(is_fetch, refused), SEARCHES) as proxy:
            for failed in await every_way(proxy.url, attached.name, first_stage="dense", degrade=True):
                assert isinstance(failed, ClusterError), failed
        for rerank in ("client", "painless"):
            with flaky_proxy(node_url, where(is_rerank, refused), SEARCHES) as proxy:
                for result in await every_way(proxy.url, attached.name, rerank=rerank, degrade=True, **APART):
                    assert isinstance(result, SearchResult), result
                    assert all(hit.index == attached.name and hit.source for hit in result.hits)
                    assert [reason.split(":")[0] for reason in result.degraded] == ["rerank"]
    finally:
        remove_attached(client, index_name)


def test_a_part_of_the_shards_is_not_the_whole(client: OpenSearch, index_name: str) -> None:
    """A script that fails at one document, so that one shard of two has no answer."""
    make_index(client, index_name, count=20, shards=2)
    source = "if (doc['group'].value == 'even' && doc['_id'].value == 'd000') { throw new Exception() } return 1"
    script = {"script_score": {"query": {"match_all": {}}, "script": {"source": source}}}
    options: dict[str, Any] = {"first_stage": "query", "rerank": None, "size": 20}
    query = EncodedQuery(dsl=script)
    searcher = Searcher(client, index_name)
    with pytest.raises(ClusterError, match="1 of the shards could not be searched"):
        searcher.search(query, **options)
    with pytest.raises(ClusterError, match="1 of the shards could not be searched"):
        searcher.search_many([query, query], **options)
    result = searcher.search(query, degrade=True, **options)
    assert 0 < len(result.hits) < 20
    assert result.degraded[0].startswith("first_stage: only part of what there is was searched")


async def test_time_is_up_on_the_real_node(client: OpenSearch, node_url: str, index_name: str) -> None:
    make_slow(client, index_name)
    options: dict[str, Any] = {"first_stage": "query", "rerank": None, "time_budget": 0.3, "degrade": True}
    query = slow_query(20_000)  # many times as long as there is
    searcher = Searcher(client, index_name)
    for search in (searcher.search, lambda one, **rest: searcher.search_many([one, one], **rest)):
        began = time.monotonic()
        with pytest.raises(BudgetError, match=r"time_budget of 0\.3 s"):
            search(query, **options)
        assert time.monotonic() - began < 5
    async with connect_async(node_url) as client_async:
        began = time.monotonic()
        with pytest.raises(BudgetError):
            await (await AsyncSearcher.open(client_async, index_name)).search(query, **options)
        assert time.monotonic() - began < 5


def test_while_the_breaker_is_open_nothing_is_reranked(client: OpenSearch, node_url: str, small: SmallIndex) -> None:
    now = [0.0]
    breaker = Breaker(failures=3, window=100, open_for=10, clock=lambda: now[0])
    asked: list[int] = []

    def fault(exchange: Exchange) -> None:
        asked.append(exchange.number)
        if len(asked) > 4:
            exchange.forward()
        else:
            refused(exchange)

    with flaky_proxy(node_url, where(is_rerank, fault), SEARCHES) as proxy, connect(proxy.url) as flaky:
        searcher = Searcher(flaky, small.name, breaker=breaker, degrade=True, rerank="client", **APART)
        for _ in range(6):
            assert searcher.search(QUERY).degraded
        assert len(asked) == 3
        assert "not tried" in searcher.search(QUERY).degraded[0]
        now[0] += 10
        assert "not tried" not in searcher.search(QUERY).degraded[0]  # the probe, which fails
        assert len(asked) == 4
        assert "not tried" in searcher.search(QUERY).degraded[0]
        # Whoever wants all or nothing is not kept from trying.
        assert searcher.search(QUERY, degrade=False).degraded == ()
        now[0] += 10
        assert searcher.search(QUERY).degraded == ()
        assert breaker.state == "closed"
        calm = Searcher(client, small.name).search(QUERY, rerank="client", **APART)
        assert_same_hits(searcher.search(QUERY).hits, calm.hits)


async def test_a_second_request_beside_a_slow_first(client: OpenSearch, node_url: str, small: SmallIndex) -> None:
    over = threading.Event()

    def slow_at_first(exchange: Exchange) -> None:
        if exchange.number % 2 == 1:
            over.wait(8)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # nobody waits for it any more
            exchange.forward()

    options: dict[str, Any] = {"first_stage": "dense", "rerank": "client", "source": False}
    expected = Searcher(client, small.name).search(QUERY, **options)
    for way in ("search", "search_many", "async"):
        with flaky_proxy(node_url, slow_at_first, SEARCHES) as proxy:
            began = time.monotonic()
            if way == "async":
                async with connect_async(proxy.url) as client_async:
                    searcher = await AsyncSearcher.open(client_async, small.name)
                    result = await searcher.search(QUERY, hedge_after=0.2, **options)
                    assert connections(client_async) == 0  # the other was ended
            else:
                with connect(proxy.url) as flaky:
                    sync = Searcher(flaky, small.name)
                    if way == "search":
                        result = sync.search(QUERY, hedge_after=0.2, **options)
                    else:
                        result, _ = sync.search_many([QUERY, QUERY], hedge_after=0.2, **options)
            assert_same_hits(result.hits, expected.hits)
            assert result.hedged == 1
            assert time.monotonic() - began < 8
            assert proxy.watched == 2
    over.set()
    assert expected.hedged == 0


async def test_turns_are_limited(node_url: str, small: SmallIndex) -> None:
    under_way = [0, 0]

    def slow(exchange: Exchange) -> None:
        under_way[0] += 1
        under_way[1] = max(under_way)
        time.sleep(0.3)
        exchange.forward()
        under_way[0] -= 1

    options: dict[str, Any] = {"first_stage": "dense", "rerank": "client", "source": False}
    with flaky_proxy(node_url, slow, SEARCHES) as proxy:
        async with connect_async(proxy.url) as client_async:
            searcher = await AsyncSearcher.open(client_async, small.name, max_concurrent=2, max_waiting=3, **options)
            found = await asyncio.gather(*(searcher.search(QUERY) for _ in range(7)), return_exceptions=True)
            assert [type(each) for each in found] == [SearchResult] * 5 + [BusyError] * 2
            assert "3 searches wait for their turn already" in str(found[-1])
            assert under_way == [0, 2]
            # Waiting counts.
            late_ones = (searcher.search(QUERY, time_budget=0.5) for _ in range(5))
            found = await asyncio.gather(*late_ones, return_exceptions=True)
            assert BudgetError in {type(each) for each in found}
            assert len((await searcher.search(QUERY)).hits) == 10


def test_on_the_command_line(node_url: str, small: SmallIndex) -> None:
    arguments = ["search", "d003", "--index", small.name, "--first-stage", "bm25", "--rerank", "none", "--json"]
    with flaky_proxy(node_url, where(is_fetch, refused), SEARCHES) as proxy:
        result = CliRunner().invoke(app, [*arguments, "--url", proxy.url])
        assert isinstance(result.exception, ClusterError)
        result = CliRunner().invoke(app, [*arguments, "--url", proxy.url, "--degrade", "--time-budget", "30"])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["degraded"][0].startswith("fetch: ")
