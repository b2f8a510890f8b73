"""A node that is too busy for a search for a moment is asked again; one that stays so is reported."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flaky_proxy import Exchange, flaky_proxy
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.connection import connect, connect_async
from opensearch_multivector.plugin.engine import ask_engine
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import index_body
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [pytest.mark.integration, pytest.mark.fault("proxy")]

SEARCHES = ("_search", "_msearch")
QUERY = EncodedQuery(text="bee", vectors=np.eye(2, 4, dtype=np.float32), pooled=np.ones(4, np.float32) / 2)


@pytest.fixture
def filled(client: OpenSearch, index_name: str) -> str:
    spec = FieldSpec("mv", 4, "f32", EncoderRef(READY_VECTORS, "none"))
    client.indices.create(index=index_name, body=index_body(spec))
    for i in range(1, 4):
        vectors = np.full((1, 4), i, np.float32)
        blob = base64.b64encode(encode_blob(vectors, "f32")).decode()
        body = {"text": "bee", "mv.vectors": blob, "mv.dense": vectors[0].tolist()}
        client.index(index=index_name, id=str(i), body=body, params={"refresh": "true"})
    return index_name


def busy_at_first(exchange: Exchange) -> None:
    if exchange.number <= 2:
        exchange.refuse(429, "circuit_breaking_exception")
    else:
        exchange.forward()


def always_busy(exchange: Exchange) -> None:
    exchange.refuse(429, "circuit_breaking_exception")


async def test_a_refused_search_is_sent_again(filled: str, node_url: str) -> None:
    with flaky_proxy(node_url, busy_at_first, SEARCHES) as proxy, OpenSearch(proxy.url, max_retries=0) as flaky:
        assert [hit.doc_id for hit in Searcher(flaky, filled).search(QUERY).hits] == ["3", "2", "1"]
        assert proxy.watched == 4  # two refused, the first stage, the page
    with flaky_proxy(node_url, busy_at_first, SEARCHES) as proxy, OpenSearch(proxy.url, max_retries=0) as flaky:
        (result,) = Searcher(flaky, filled).search_many([QUERY])
        assert [hit.doc_id for hit in result.hits] == ["3", "2", "1"]
    with flaky_proxy(node_url, busy_at_first, SEARCHES) as proxy:
        async with connect_async(proxy.url) as flaky_async:
            searcher = await AsyncSearcher.open(flaky_async, filled)
            result = await searcher.search(QUERY, first_stage="bm25+dense")
            assert [hit.doc_id for hit in result.hits] == ["3", "2", "1"]


def test_a_node_that_stays_busy_is_reported(client: OpenSearch, filled: str, node_url: str) -> None:
    with flaky_proxy(node_url, always_busy, SEARCHES) as proxy, OpenSearch(proxy.url, max_retries=0) as flaky:
        with pytest.raises(ClusterError, match="too busy or short of memory"):
            Searcher(flaky, filled).search(QUERY)
        assert proxy.watched == 6  # once to try a fusion, which is given up at once
        # Being busy makes nobody forget that the native plugin is there.
        assert ask_engine(flaky, filled) == replace(ask_engine(client, filled), fuses=False)


async def test_a_busy_node_is_left_alone_for_as_long_as_it_says(filled: str, node_url: str) -> None:
    def busy_once(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.handler.send_response(429)
            exchange.handler.send_header("retry-after", "1")
            exchange.handler.send_header("content-length", "0")
            exchange.handler.end_headers()
        else:
            exchange.forward()

    options: dict[str, Any] = {"first_stage": "dense", "rerank": "client"}
    for budget in (None, 0.9):
        with flaky_proxy(node_url, busy_once, SEARCHES) as proxy, connect(proxy.url) as flaky:
            began = time.monotonic()
            if budget is None:
                assert len(Searcher(flaky, filled).search(QUERY, **options).hits) == 3
                assert time.monotonic() - began >= 1
            else:  # no use in waiting
                with pytest.raises(ClusterError, match="too busy"):
                    Searcher(flaky, filled).search(QUERY, time_budget=budget, **options)
                assert proxy.watched == 1
    with flaky_proxy(node_url, busy_once, SEARCHES) as proxy:
        async with connect_async(proxy.url) as flaky_async:
            searcher = await AsyncSearcher.open(flaky_async, filled)
            began = time.monotonic()
            assert len((await searcher.search(QUERY, **options)).hits) == 3
            assert time.monotonic() - began >= 1


def test_a_busy_moment_is_not_remembered(client: OpenSearch, filled: str, node_url: str) -> None:
    def busy_once(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.refuse(429, "circuit_breaking_exception")
        else:
            exchange.forward()

    options: dict[str, Any] = {"first_stage": "bm25+dense", "rerank": None, "source": False}
    with flaky_proxy(node_url, busy_once, SEARCHES) as proxy, connect(proxy.url) as flaky:
        searcher = Searcher(flaky, filled)
        searcher.search(QUERY, **options)  # the trial of a fusion is refused: two requests, or one with both
        before = proxy.watched
        searcher.search(QUERY, **options)  # tried again, and fused in OpenSearch
        assert proxy.watched == before + 2
        searcher.search(QUERY, **options)
        assert proxy.watched == before + 3
