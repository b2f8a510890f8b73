"""What keeps the service answering: sizes, rates, turns."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import pytest
from served import INDEX, Served, open_settings, reranked, until

from opensearch_multivector.ops.service import limits
from opensearch_multivector.ops.service.app import Settings
from opensearch_multivector.ops.service.errors import RefusalError
from opensearch_multivector.ops.service.limits import Gate, Rates

HEAD = b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
BODY = {"index": INDEX, "query": "animals that travel far", "size": 5}


async def ask_together(url: str, count: int) -> list[httpx.Response]:
    """As many searches at once, each on a connection of its own."""
    most = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=most) as client:
        return await asyncio.gather(*(client.post("/search", json=BODY) for _ in range(count)))


@pytest.mark.integration
def test_two_hundred_searches_at_once_are_all_answered(serve: Callable[[Settings], Served]) -> None:
    served = serve(open_settings(queue=200, patience=60.0))
    expected = served.search(**BODY)
    answers = asyncio.run(ask_together(served.url, 200))
    assert Counter(answer.status_code for answer in answers) == {200: 200}
    for answer in answers:
        assert reranked(answer.json()) == reranked(expected)
        assert answer.json()["degraded"] == []
    assert (served.service.gate.inside, served.service.gate.under_way) == (0, 0)


@pytest.mark.integration
def test_past_the_queue_it_is_said_when_to_come_back(serve: Callable[[Settings], Served]) -> None:
    served = serve(open_settings(capacity=2, queue=10, patience=60.0))
    served.search(**BODY)
    answers = asyncio.run(ask_together(served.url, 100))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() == {200, 429}
    assert statuses[200] >= 12
    assert statuses[429] >= 20
    for answer in answers:
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
            assert answer.json()["error"]["code"] == "queue"
    assert served.service.gate.refused == statuses[429]
    told = served.get("/metrics").text
    assert f'osmv_service_rejected_total{{reason="queue"}} {statuses[429]}.0' in told
    assert re.search(r'osmv_service_requests_total\{route="/search",status="200"\} \d', told)
    assert re.search(r'osmv_searches_total\{.*index="osmv-test-service".*\} \d', told)
    assert served.search(**BODY)["hits"]


@pytest.mark.integration
def test_who_has_gone_is_not_searched_for(serve: Callable[[Settings], Served]) -> None:
    served = serve(open_settings(capacity=1, queue=100))
    served.search(**BODY)
    body = json.dumps(BODY).encode()
    gone = []
    for _ in range(40):
        opened = socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])))
        opened.sendall(HEAD % len(body) + body)
        gone.append(opened)
    for opened in gone:
        opened.close()
    until(lambda: served.service.gate.inside == 0)
    (done,) = re.findall(r'osmv_searches_total\{.*index="osmv-test-service".*\} (\d+)', served.get("/metrics").text)
    assert int(done) < 40


@pytest.mark.integration
def test_bodies_have_a_size_a_form_and_a_time(
    serve: Callable[[Settings], Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(open_settings(body_bytes=2_000))
    for content in (json.dumps(BODY | {"query": "x" * 3_000}).encode(), pieces(b" " * 1_000, 30)):
        answer = served.client.post("/search", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert served.client.post("/search", content=b"{}", headers={"Content-Type": kind}).status_code == 415
    monkeypatch.setattr(limits, "_BODY_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=10) as opened:
        opened.sendall(HEAD % 100 + b"{")
        assert b" 408 " in opened.recv(4096)
    assert served.service.gate.inside == 0


@pytest.mark.integration
def test_a_caller_has_a_rate(serve: Callable[[Settings], Served]) -> None:
    served = serve(open_settings(rate=0.01, burst=5))
    assert [served.get("/caller").status_code for _ in range(7)] == [200] * 5 + [429] * 2
    refused = served.get("/caller")
    assert (refused.headers["Retry-After"], refused.json()["error"]["code"]) == ("60", "rate")
    assert served.get("/healthz").status_code == served.get("/").status_code == 200


@pytest.mark.integration
def test_several_searches_in_one_request_count_as_several(serve: Callable[[Settings], Served]) -> None:
    served = serve(open_settings(rate=0.01, burst=5))
    many = {"searches": [BODY] * 4}
    assert [served.post("/search/many", many).status_code for _ in range(2)] == [200, 429]


@pytest.mark.integration
def test_a_search_is_bounded(service: Served) -> None:
    for wrong in ({"window_size": 1001}, {"size": 101}, {"time_budget": 61}, {"rerank": "painless"}, {"size": "1"}):
        answer = service.post("/search", BODY | wrong)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request"), wrong
    answer = service.post("/search", BODY | {"first_stage": "codes"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "mismatch")


def test_a_bucket_fills_again() -> None:
    now = [0.0]
    rates = Rates(2.0, 3, clock=lambda: now[0])
    for _ in range(3):
        rates.take("a")
    with pytest.raises(RefusalError) as refused:
        rates.take("a")
    assert refused.value.headers["Retry-After"] == "1"
    rates.take("b")
    now[0] = 1.0
    rates.take("a", 2)
    with pytest.raises(RefusalError):
        rates.take("a")
    for number in range(10_000):
        rates.take(str(number))
    assert len(rates._left) <= 4096


async def test_a_gate_holds_what_it_says() -> None:
    gate = Gate(capacity=2, queue=3, patience=0.05)
    most = 0
    release = asyncio.Event()

    async def one() -> str:
        nonlocal most
        try:
            with gate.admitted():
                async with gate.turn():
                    most = max(most, gate.under_way)
                    await release.wait()
                    return "done"
        except RefusalError as refusal:
            return refusal.code

    tasks = [asyncio.create_task(one()) for _ in range(9)]
    await asyncio.sleep(0.2)  # beyond anybody's patience
    tasks[0].cancel()
    release.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert Counter(map(str, outcomes)) == {"": 1, "done": 1, "queue": 7}
    assert (most, gate.inside, gate.under_way, gate.refused) == (2, 0, 0, 7)
    async with gate.turn(), gate.turn():
        pass


async def test_past_the_queue_nobody_waits() -> None:
    gate = Gate(capacity=1, queue=2, patience=60.0)
    async with gate.turn():
        with gate.admitted(), gate.admitted(), gate.admitted():
            assert (gate.under_way, gate.waiting) == (1, 2)
            with pytest.raises(RefusalError) as refused, gate.admitted():
                pass
    assert (refused.value.status, gate.inside) == (429, 0)


def pieces(part: bytes, count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield part
