"""Who may ask for what; and that nothing that a stranger sends breaks the service or opens what is closed."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import text, value
from node_under_test import NATIVE
from scale import SEED
from served import FILTERING, INDEX, OPERATOR, TENANT, Served, digest, documents, open_settings, tokens_file, until

from opensearch_multivector.errors import InputError
from opensearch_multivector.ops.service.app import Settings
from opensearch_multivector.ops.service.auth import make_door
from opensearch_multivector.ops.service.openapi import OPERATIONS
from opensearch_multivector.ops.service.running import check_address

OF_A = {document["id"] for document in documents() if document["tenant"] == "a"}


@pytest.mark.integration
def test_nobody_is_answered_without_a_token(guarded: Served) -> None:
    for operation in OPERATIONS:
        for headers in (
            {},
            {"Authorization": "Bearer wrong-token-of-the-tests"},
            {"Authorization": f"Basic {OPERATOR}"},
        ):
            answer = guarded.client.request(operation.method, operation.path, headers=headers)
            if operation.open:
                assert answer.status_code == 200, operation.path
            else:
                assert answer.status_code == 401, operation.path
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert guarded.get("/").status_code == guarded.get("/app.js").status_code == 200


@pytest.mark.integration
def test_a_tenant_sees_its_documents_and_no_counts(guarded: Served) -> None:
    body = {"index": INDEX, "query": "animals", "size": 60}
    for asked in (
        body,
        body | {"first_stage": "bm25", "rerank": None, "query": "bees terns eels ants owls bats"},
        body | {"compare": True},
        body | {"parts": [{"text": "animals"}, {"text": "bees", "weight": -1}], "query": None},
        body | {"first_stage": "bm25+dense", "explain": True},
    ):
        found = guarded.post("/search", asked, TENANT)
        assert found.status_code == 200, found.text
        told = found.json()
        assert {hit["doc_id"] for hit in told["hits"]} <= OF_A
        assert {hit["source"]["tenant"] for hit in told["hits"]} == {"a"}
        assert {hit["doc_id"] for hit in told["first_stage_hits"] or ()} <= OF_A
        assert told["total"] <= len(OF_A)
    explained = {"index": INDEX, "query": "bees"}
    assert guarded.post("/explain", explained | {"doc_id": "d00"}, TENANT).status_code == 200
    assert guarded.post("/explain", explained | {"doc_id": "d01"}, TENANT).status_code == 404
    assert guarded.post("/explain", explained | {"doc_id": "d01"}, OPERATOR).status_code == 200
    (field,) = guarded.get("/fields", TENANT).json()["fields"]
    assert ("native" in field["reranks"]) == NATIVE
    assert (field["documents"], field["covered"], field["coverage"]) == (None, None, None)
    assert guarded.get("/indices", TENANT).json()["indices"] == [{"name": INDEX, "alias": False, "fields": ["mv"]}]
    for operation in OPERATIONS:
        if operation.operator:
            assert guarded.get(operation.path, TENANT).status_code == 403
            assert guarded.get(operation.path, OPERATOR).status_code == 200
    assert guarded.get("/caller", TENANT).json()["bound"] is True


@pytest.mark.integration
def test_why_something_is_missing_is_for_operators(serve: Callable[[Settings], Served], tmp_path: Path) -> None:
    door = make_door(OPERATOR, tokens_file(tmp_path), ("*",), filters=False)
    served = serve(Settings(door, warm=False))
    # In so little time something is always missing, most often after the first stage.
    asked = {"index": INDEX, "query": "animals", "time_budget": 0.01, "rerank": "client", "window_size": 1000}
    for token in (OPERATOR, TENANT):
        answers = [served.post("/search", asked, token).json() for _ in range(10)]
        reasons = [reason for answer in answers for reason in answer.get("degraded", ())]
        assert all(("left out, since" in reason) is (token == TENANT) for reason in reasons), reasons


@pytest.mark.integration
def test_filters_are_for_those_who_may(guarded: Served) -> None:
    asked = {"index": INDEX, "query": "animals", "size": 60, "filter": {"match_all": {}}}
    assert guarded.post("/search", asked, TENANT).status_code == 403
    assert guarded.post("/search", asked | {"filter": None, "dsl": {"match_all": {}}}, TENANT).status_code == 403
    found = guarded.post("/search", asked, FILTERING).json()
    assert {hit["doc_id"] for hit in found["hits"]} == OF_A
    lookup = {"terms": {"secret": {"index": INDEX, "id": "d01", "path": "secret"}}}
    assert guarded.post("/search", asked | {"filter": lookup}, FILTERING).status_code == 400
    own = asked | {"filter": None, "first_stage": "query", "dsl": {"match": {"text": "bees"}}}
    assert {hit["doc_id"] for hit in guarded.post("/search", own, FILTERING).json()["hits"]} == {"d00", "d02", "d04"}


@pytest.mark.integration
def test_an_index_is_named_by_its_name(guarded: Served, service: Served) -> None:
    for name in (
        "*",
        "_all",
        f"{INDEX},osmv-state",
        f"{INDEX}*",
        "-x",
        ".kibana",
        "<a-{now/d}>",
        "a/_doc",
        "%2a",
        " ",
        "\n",
    ):
        answer = service.post("/search", {"index": name, "query": "a"})
        assert answer.status_code == 400, name
        assert service.get("/fields", params={"index": name}).status_code == 400
    assert guarded.post("/search", {"index": "osmv-state", "query": "a"}, TENANT).status_code == 403
    assert service.post("/search", {"index": "osmv-state", "query": "a"}).status_code in (404, 409)


def requests_of(rng: random.Random) -> tuple[str, str, bytes, dict[str, str]]:
    """Method, path, body and headers of one hostile request."""
    body: Any = {"index": INDEX, "query": "bees", "size": 60}
    path = rng.choice(["/search", "/search", "/search", "/explain", "/search/many", "/fields", "/indices", "/nothing"])
    if path == "/explain":
        body = {"index": INDEX, "query": "bees", "doc_id": rng.choice(["d00", "d01", text(rng)[:200]])}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {rng.choice([TENANT, FILTERING])}"}
    kind = rng.randrange(9)
    if kind < 3:
        keys = [
            "index",
            "field",
            "query",
            "parts",
            "first_stage",
            "rerank",
            "filter",
            "dsl",
            "size",
            "offset",
            "tenant",
        ]
        keys += ["window_size", "source", "routing", "min_score", "time_budget", "fusion", "hit_index", "_source", "x"]
        for key in rng.sample(keys, rng.randrange(1, 4)):
            body[key] = rng.choice([value(rng), text(rng), rng.choice(WIDENING)])
    elif kind == 3:
        body |= {"filter": rng.choice(WIDENING), "source": rng.choice([True, ["*"], ["secret"]])}
    elif kind == 4:
        clause = rng.choice(WIDENING)
        body |= {"first_stage": "query", "dsl": clause, "rerank": rng.choice([None, "auto"])}
    elif kind == 5:
        body["parts"] = [{"text": text(rng), "weight": rng.choice([1, -1, 1e308, "x", 0.1])} for _ in range(3)]
        body.pop("query")
    elif kind == 6:
        headers[rng.choice(["Authorization", "Content-Type", "X-Request-ID", "Content-Encoding"])] = rng.choice(
            ["Bearer", "Bearer  ", "gzip", "text/plain", "a" * 3000, "Bearer " + "x" * 5000, "\u00ff", "{}", "a; b=c"]
        )
    if path == "/search/many":
        body = {"searches": [body] * rng.choice([0, 1, 3, 17])}
    raw = json.dumps(body).encode("utf-8", "replace")
    if kind == 7:
        raw = rng.choice(
            [
                b"",
                b"{",
                b"[" * 100_000,
                b'{"a":' * 50_000,
                b'{"index": NaN}',
                b"\xff\xfe\x00",
                raw.replace(b"bees", b"\\ud800"),
                raw.replace(b"60", b"1e400"),
                raw.replace(b"60", b"9" * 5000),
                b"null",
                b"[]",
                raw + raw,
                b'{"index":"x","index":"' + INDEX.encode() + b'","query":"a"}',
            ]
        )
    if kind == 8:
        path = rng.choice(
            ["/..%2f..%2fetc/passwd", "/%00", "//search", "/search/", "/app.py", "/__init__.py", "/search?x=%ff"]
        )
    method = "GET" if path in ("/fields", "/indices") else "POST"
    if rng.random() < 0.1:
        method = rng.choice(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"])
    return method, path, raw, headers


WIDENING: list[Any] = [
    {"match_all": {}},
    {"term": {"tenant": "b"}},
    {"bool": {"should": [{"match_all": {}}, {"term": {"tenant": "b"}}], "minimum_should_match": 0}},
    {"bool": {"must_not": [{"term": {"tenant": "a"}}]}},
    {"query_string": {"query": "tenant:b OR *:*"}},
    {"terms": {"secret": {"index": INDEX, "id": "d01", "path": "secret"}}},
    {"ids": {"values": ["d01", "d03"]}},
    {"script": {"script": "true"}},
    {"wrapper": {"query": "eyJtYXRjaF9hbGwiOnt9fQ=="}},
    {"regexp": {"secret": "(a|aa)+" * 30}},
    {"bool": {"filter": {"bool": {"filter": {"bool": {"filter": {"match_all": {}}}}}}}},
    {"nested": {"path": "mv", "query": {"match_all": {}}}},
    {"hybrid": {"queries": [{"match_all": {}}]}},
    {},
    [],
    "a",
]


@pytest.mark.integration
def test_hostile_requests_break_nothing_and_widen_nothing(guarded: Served, caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(SEED)
    statuses: dict[int, int] = {}

    async def ask_all() -> None:
        import httpx

        async with httpx.AsyncClient(base_url=guarded.url, timeout=60) as client:
            turns = asyncio.Semaphore(6)

            async def one(number: int, method: str, path: str, raw: bytes, headers: dict[str, str]) -> None:
                async with turns:
                    try:
                        sent = {name: told.encode("latin-1") for name, told in headers.items()}
                        answer = await client.request(method, path, content=raw, headers=sent)
                    except httpx.LocalProtocolError:
                        return  # what can't be sent at all
                statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
                shown = f"seed {SEED}, request {number}: {method} {path} {raw[:300]!r}: {answer.text[:300]}"
                assert answer.status_code < 500 or answer.status_code == 504, shown  # so little time was asked for
                assert "Traceback" not in answer.text, shown
                assert "secret-of-b" not in answer.text, shown
                if method != "HEAD" and answer.status_code >= 400:
                    assert answer.json()["error"]["message"], shown
                if method == "POST" and answer.status_code == 200:
                    for told in answer.json().get("answers", [answer.json()]):
                        assert {hit["doc_id"] for hit in told.get("hits", ())} <= OF_A, shown

            made = [requests_of(rng) for _ in range(500)]
            await asyncio.gather(*(one(n, *request) for n, request in enumerate(made)))

    with caplog.at_level(logging.INFO):
        asyncio.run(ask_all())
    assert not [record for record in caplog.records if record.exc_info]
    assert statuses.get(200, 0) > 20
    assert statuses.get(400, 0) > 100
    assert guarded.post("/search", {"index": INDEX, "query": "bees"}, TENANT).status_code == 200


@pytest.mark.integration
def test_what_is_no_http_is_refused(guarded: Served) -> None:
    port = int(guarded.url.rpartition(":")[2])
    for sent in (
        b"\x16\x03\x01\x02\x00\x01",
        b"GET\r\n\r\n",
        b"POST /search HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as opened:
            opened.sendall(sent + b"\r\n\r\n")
            assert b"Traceback" not in opened.recv(4096)
    assert guarded.get("/healthz").status_code == 200


@pytest.mark.integration
def test_headers_and_log(guarded: Served, caplog: pytest.LogCaptureFixture) -> None:
    def logged() -> list[dict[str, Any]]:
        """What comes after its answer; from here on, as that of the test before may come even now."""
        lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "osmv.access"]
        return lines[next((i for i, line in enumerate(lines) if line["request_id"] == "one"), len(lines)) :]

    with caplog.at_level(logging.INFO, "osmv.access"):
        answer = guarded.post(
            "/search", {"index": INDEX, "query": "a secret query"}, TENANT, headers={"X-Request-ID": "one"}
        )
        guarded.get("/", headers={"X-Request-ID": 'two"\\n'})
        until(lambda: len(logged()) == 2)
        first, second = logged()
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"] == "one"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "server" not in answer.headers
    assert (
        "access-control-allow-origin"
        not in guarded.get("/caller", TENANT, headers={"Origin": "https://a.example"}).headers
    )
    assert (first["request_id"], first["caller"], first["route"], first["status"]) == (
        "one",
        "tenant-a",
        "/search",
        200,
    )
    assert not any(word in record.getMessage() for record in caplog.records for word in ("secret query", TENANT))
    assert second["request_id"] != 'two"\\n'


@pytest.mark.integration
def test_cors_is_for_origins_that_are_named(serve: Callable[[Settings], Served]) -> None:
    served = serve(open_settings(cors=("https://shop.example",)))
    for origin, allowed in (("https://shop.example", True), ("https://other.example", False)):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = served.client.options("/search", headers=asked)
        assert (preflight.headers.get("access-control-allow-origin") == origin) is allowed
        assert (
            served.get("/caller", headers={"Origin": origin}).headers.get("access-control-allow-origin") == origin
        ) is allowed


@pytest.mark.integration
def test_without_tokens_only_this_machine_is_answered(service: Served) -> None:
    for host in ("rebound.example", "127.0.0.1.example", "localhost.example:80"):
        assert service.get("/caller", headers={"Host": host}).status_code == 421
    assert service.get("/caller", headers={"Host": "localhost:1"}).status_code == 200
    for host in ("0.0.0.0", "192.0.2.1", "::", "example.org"):
        with pytest.raises(InputError, match="anybody who reaches this machine"):
            check_address(host, needs_token=False)
        check_address(host, needs_token=True)
    for host in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
        check_address(host, needs_token=False)


def test_a_file_of_tokens_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    good = {"name": "a", "sha256": digest("a" * 20)}
    for wrong, told in (
        ({}, "list"),
        ([], "at least one"),
        ([good, good], "name of its own"),
        ([good, good | {"name": "b"}], "somebody else's"),
        ([good | {"name": "operator"}], "taken"),
        ([good | {"sha256": "a" * 20}], "sha256"),
        ([good | {"more": 1}], "more"),
        ([good | {"tenant": {}}], "one OpenSearch query clause"),
        ([good | {"tenant": {"match_all": {}}, "operator": True}], "operator"),
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(InputError, match=told) as refused:
            make_door(None, path, ("*",), filters=False)
        assert digest("a" * 20) not in str(refused.value)
    path.write_text(json.dumps([good | {"filters": True, "indices": ["a*"]}]))
    caller = make_door(None, path, ("ab*",), filters=False).caller("Bearer " + "a" * 20)
    assert not caller.filters
    assert caller.may_search("abc")
    assert not caller.may_search("ac")
    with pytest.raises(InputError, match="16 to"):
        make_door("short", None, ("*",), filters=False)
