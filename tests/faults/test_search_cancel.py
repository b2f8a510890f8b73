"""A cancelled search ends in OpenSearch, too, and leaves nothing behind: no connection, no lock, no complaint."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from slow_index import SPEC, connections, make_slow, searches_done, searches_under_way, slow_query

from opensearch_multivector.encoding.encoders.base import Encoded
from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.connection import connect_async
from opensearch_multivector.plugin.fields import EncoderRef
from opensearch_multivector.plugin.mapping import index_body
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.encoded_query import EncodedQuery

pytestmark = pytest.mark.integration

# Many seconds, were it not for its end.
SLOW = slow_query(60_000)
OPTIONS: dict[str, Any] = {"first_stage": "query", "rerank": None, "source": False}
QUICK = EncodedQuery(dsl={"match_all": {}})


@pytest.fixture(scope="module")
def slow(client: OpenSearch) -> Iterator[str]:
    name = "osmv-test-slow"
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    make_slow(client, name)
    yield name
    client.indices.delete(index=name)


async def until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("hedged", [False, True])
async def test_its_end_is_the_end_in_opensearch(client: OpenSearch, node_url: str, slow: str, hedged: bool) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    done = searches_done(client, slow)
    async with connect_async(node_url) as client_async:
        options = OPTIONS | ({"hedge_after": 0.2} if hedged else {})
        searcher = await AsyncSearcher.open(client_async, slow, max_concurrent=2)
        tasks = [asyncio.create_task(searcher.search(SLOW, **options)) for _ in range(2)]
        waiting = asyncio.create_task(searcher.search(SLOW, **options))
        # The search and its part on the shard, for each request.
        await until(lambda: len(searches_under_way(client, slow)) >= (8 if hedged else 4))
        for task in (*tasks, waiting):
            task.cancel()
        assert all(isinstance(each, asyncio.CancelledError) for each in await _ends(*tasks, waiting))
        await until(lambda: not searches_under_way(client, slow))
        assert searches_done(client, slow) == done  # none of them just came to its end
        assert connections(client_async) == 0
        found = await asyncio.gather(*(searcher.search(QUICK, **options) for _ in range(4)))
        assert all(len(result.hits) == 10 for result in found)
    gc.collect()
    assert complaints == []


async def test_of_many_the_one_that_fails_ends_the_others(client: OpenSearch, node_url: str, slow: str) -> None:
    bad = EncodedQuery(dsl={"no_such_query": {}})
    async with connect_async(node_url) as client_async:
        searcher = await AsyncSearcher.open(client_async, slow)
        with pytest.raises(ClusterError, match="no_such_query"):
            await searcher.search_many([SLOW, SLOW, bad], **OPTIONS)
        assert connections(client_async) == 0
        await until(lambda: not searches_under_way(client, slow))


class SlowEncoder:
    """Is never at work twice at a time, as tokenizers must not be."""

    name, fingerprint, dim, max_length = "ready", "none", 4, 8

    def __init__(self) -> None:
        self.at_work = self.most = self.begun = 0

    def encode(self, texts: Any, kind: str) -> list[Encoded]:
        self.at_work, self.begun = self.at_work + 1, self.begun + 1
        self.most = max(self.most, self.at_work)
        time.sleep(0.2)
        self.at_work -= 1
        return [Encoded(np.eye(1, 4, dtype=np.float32), np.ones(4, np.float32)) for _ in texts]


async def test_cancelled_while_it_encodes(node_url: str, index_name: str, client: OpenSearch) -> None:
    spec = replace(SPEC, vectors=EncoderRef("slow", "none"))
    client.indices.create(index=index_name, body=index_body(spec))
    encoder = SlowEncoder()
    async with connect_async(node_url) as client_async:
        searcher = await AsyncSearcher.open(client_async, index_name, encoder=encoder, max_concurrent=3)
        for _ in range(4):
            task = asyncio.create_task(searcher.search("bee"))
            begun = encoder.begun
            await until(lambda begun=begun: encoder.begun > begun)
            task.cancel()
            assert isinstance((await _ends(task))[0], asyncio.CancelledError)
        assert (await searcher.search("bee")).hits == []
    assert encoder.most == 1


async def _ends(*tasks: asyncio.Task[Any]) -> list[Any]:
    return list(await asyncio.gather(*tasks, return_exceptions=True))
