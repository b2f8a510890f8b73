"""An alias is moved between indices of two encoders under traffic: no search fails, none mixes the two."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch
from scale import scale
from two_encoders import QUERIES, TEXTS, Found, alike, fill, found, make_sidecar, two_encoders

from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.errors import MismatchError
from opensearch_multivector.plugin.attachments import remove_attachment
from opensearch_multivector.plugin.connection import connect_async
from opensearch_multivector.plugin.sub_fields import Bits, Dense
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

SWAPS = scale(15, 300)
# One round, two, three, and two requests in a round, of which each may see another index.
OPTIONS: tuple[dict[str, Any], ...] = (
    {"first_stage": "dense", "rerank": "client", "source": False},
    {"first_stage": "dense", "rerank": "auto"},
    {"first_stage": "bm25", "rerank": "client:keep=12>client:score=max", "explain": True},
    {"first_stage": "bm25+dense", "rerank": "client", "fusion": "client"},
    {"first_stage": "dense", "rerank": None},
)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoder, Encoder]:
    return two_encoders(tmp_path_factory.mktemp("encoders"))


@pytest.fixture
def alias(client: OpenSearch, index_name: str) -> Iterator[str]:
    yield f"{index_name}-alias"
    client.indices.delete(index=f"{index_name}*,.{index_name}*", params={"expand_wildcards": "all"})


def point(client: OpenSearch, alias: str, *indices: str) -> None:
    """Move the alias, at once."""
    actions: list[dict[str, Any]] = [{"remove": {"index": "*", "alias": alias}}] if at(client, alias) else []
    actions += [{"add": {"index": index, "alias": alias}} for index in indices]
    client.indices.update_aliases(body={"actions": actions})


def at(client: OpenSearch, alias: str) -> set[str]:
    return set(client.indices.get_alias(name=alias, params={"ignore": [404]})) if has(client, alias) else set()


def has(client: OpenSearch, alias: str) -> bool:
    return bool(client.indices.exists_alias(name=alias))


@dataclass
class Traffic:
    """Searches in threads and in a loop until it is told to stop; every one has to be one of the right answers."""

    client: OpenSearch
    url: str
    alias: str
    right: dict[tuple[str, int], set[Found]]
    done: threading.Event = field(default_factory=threading.Event)
    seen: list[tuple[str, ...]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def check(self, query: str, number: int, result: Any) -> None:
        answer = found(result)
        right = self.right[query, number]
        assert any(alike(answer, each) for each in right), (query, OPTIONS[number], answer, right)
        self.seen.append(tuple(sorted({index for index, _, _ in answer})))

    def one_by_one(self, searcher: Searcher, number: int) -> None:
        while not self.done.is_set():
            for query in QUERIES:
                self.check(query, number, searcher.search(query, **OPTIONS[number]))

    def many(self, searcher: Searcher, number: int) -> None:
        while not self.done.is_set():
            results = searcher.search_many(QUERIES, **OPTIONS[number])
            for query, result in zip(QUERIES, results, strict=True):
                self.check(query, number, result)

    def in_a_loop(self, _: Searcher, number: int) -> None:
        async def run() -> None:
            async with connect_async(self.url) as client:
                searcher = await AsyncSearcher.open(client, self.alias)
                while not self.done.is_set():
                    results = await searcher.search_many(QUERIES, **OPTIONS[number])
                    for query, result in zip(QUERIES, results, strict=True):
                        self.check(query, number, result)

        asyncio.run(run())

    def during(self, work: Callable[[], None]) -> None:
        searcher = Searcher(self.client, self.alias)
        ways = [(self.one_by_one, 1), (self.one_by_one, 3), (self.many, 0), (self.many, 4), (self.in_a_loop, 2)]
        threads = [threading.Thread(target=self._kept, args=(way, searcher, number)) for way, number in ways]
        for thread in threads:
            thread.start()
        try:
            work()
        finally:
            self.done.set()
            for thread in threads:
                thread.join()
        if self.errors:
            raise self.errors[0]

    def _kept(self, way: Callable[[Searcher, int], None], searcher: Searcher, number: int) -> None:
        try:
            way(searcher, number)
        except BaseException as error:  # the thread's last words
            self.errors.append(error)
            self.done.set()


def answers(client: OpenSearch, *names: str) -> dict[tuple[str, int], set[Found]]:
    """The right answers, as each of these indices (or those that a comma joins) gives them alone.

    Queries that are encoded together have vectors that differ in their last bits from those of one alone.
    """
    right: dict[tuple[str, int], set[Found]] = {}
    for searcher in (Searcher(client, name) for name in names):
        for number, options in enumerate(OPTIONS):
            together = searcher.search_many(QUERIES, **options)
            for query, result in zip(QUERIES, together, strict=True):
                right.setdefault((query, number), set()).update(
                    {found(result), found(searcher.search(query, **options))}
                )
    for each in right.values():
        assert len({tuple(index for index, _, _ in answer) for answer in each}) >= len(names)
    return right


def test_back_and_forth_between_two_encoders(
    client: OpenSearch, node_url: str, alias: str, encoders: tuple[Encoder, Encoder], tmp_path: Path
) -> None:
    names = (f"{alias}-one", f"{alias}-two")
    fill(client, names[0], encoders[0], tmp_path)
    fill(client, names[1], encoders[1], tmp_path, codec="int8", sub_fields=[Dense(), Bits()])
    point(client, alias, names[0])
    traffic = Traffic(client, node_url, alias, answers(client, *names))

    def swap() -> None:
        for number in range(SWAPS):
            if traffic.done.is_set():
                return
            point(client, alias, names[(number + 1) % 2])
            time.sleep(0.02 * (number % 7))  # some searches see several moves, some none

    traffic.during(swap)
    assert {(names[0],), (names[1],)} == set(traffic.seen)
    print(f"{len(traffic.seen)} searches, {SWAPS} swaps")


def test_the_old_index_is_deleted_at_once(
    client: OpenSearch, node_url: str, alias: str, encoders: tuple[Encoder, Encoder], tmp_path: Path
) -> None:
    """Over two indices at a time, of which each move replaces both."""
    rounds = scale(3, 30)
    pairs = [(f"{alias}-{i}a", f"{alias}-{i}b") for i in range(rounds)]
    right: dict[tuple[str, int], set[Found]] = {}
    traffic = Traffic(client, node_url, alias, right)

    def prepare(number: int) -> None:
        for name in pairs[number]:
            fill(client, name, encoders[number % 2], tmp_path)
        for key, one in answers(client, ",".join(pairs[number])).items():
            right.setdefault(key, set()).update(one)

    def replace_all() -> None:
        for number in range(1, rounds):
            prepare(number)
            point(client, alias, *pairs[number])
            client.indices.delete(index=",".join(pairs[number - 1]))
            time.sleep(0.2)

    prepare(0)
    point(client, alias, *pairs[0])
    traffic.during(replace_all)
    assert len(set(traffic.seen)) >= rounds


async def test_a_sidecar_is_made_anew(
    client: OpenSearch, node_url: str, index_name: str, encoders: tuple[Encoder, Encoder]
) -> None:
    """Under the same name: nothing in its hits tells."""
    client.indices.create(index=index_name, body={"settings": {"number_of_replicas": 0}})
    lines = [part for doc_id, text in TEXTS.items() for part in ({"index": {"_id": doc_id}}, {"text": text})]
    client.bulk(index=index_name, body=lines, params={"refresh": "true"})
    options: dict[str, Any] = {"first_stage": "dense", "rerank": "client"}
    try:
        make_sidecar(client, index_name, encoders[0])
        searcher = Searcher(client, index_name)
        async with connect_async(node_url) as async_client:
            async_searcher = await AsyncSearcher.open(async_client, index_name)
            before = found(searcher.search(QUERIES[0], **options))
            for encoder in (encoders[1], encoders[0], encoders[1]):
                make_sidecar(client, index_name, encoder)
                expected = found(Searcher(client, index_name).search(QUERIES[0], **options))
                assert not alike(expected, before)
                assert alike(found(searcher.search(QUERIES[0], **options)), expected)
                assert alike(found(searcher.search_many(QUERIES[:1], **options)[0]), expected)
                assert alike(found(await async_searcher.search(QUERIES[0], **options)), expected)
                before = expected
    finally:
        remove_attachment(client, index_name, "mv")
        client.indices.delete(index=f".{index_name}*,{index_name}*", params={"expand_wildcards": "all"})


def test_an_index_made_anew_under_its_name_is_noticed_in_time(
    client: OpenSearch, index_name: str, encoders: tuple[Encoder, Encoder], tmp_path: Path
) -> None:
    fill(client, index_name, encoders[0], tmp_path)
    searcher = Searcher(client, index_name, refresh_after=0)
    before = found(searcher.search(QUERIES[0]))
    client.indices.delete(index=index_name)
    fill(client, index_name, encoders[1], tmp_path, restart=True)
    after = found(searcher.search(QUERIES[0]))
    assert alike(after, found(Searcher(client, index_name).search(QUERIES[0])))
    assert not alike(after, before)


def test_ready_vectors_do_not_go_to_another_encoder(
    client: OpenSearch, alias: str, encoders: tuple[Encoder, Encoder], tmp_path: Path
) -> None:
    names = (f"{alias}-one", f"{alias}-two")
    for name, encoder in zip(names, encoders, strict=True):
        fill(client, name, encoder, tmp_path)
    point(client, alias, names[0])
    searcher = Searcher(client, alias)
    (encoded,) = encoders[0].encode([QUERIES[0]], "query")
    ready = EncodedQuery(QUERIES[0], encoded.vectors, encoded.pooled)
    assert {hit.index for hit in searcher.search(ready).hits} == {names[0]}
    point(client, alias, names[1])
    with pytest.raises(MismatchError, match="one of another encoder now"):
        searcher.search(ready)
    point(client, alias, *names)
    with pytest.raises(MismatchError, match="differs in encoder"):
        searcher.search(QUERIES[0])
    point(client, alias, names[0])
    assert {hit.index for hit in searcher.search(ready).hits} == {names[0]}
