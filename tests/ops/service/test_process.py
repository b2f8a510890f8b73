"""`osmv serve` as a process: what it refuses to begin with, what it logs, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest
from opensearchpy import OpenSearch
from osmv_here import osmv
from served import INDEX, OPERATOR, Served, open_settings

from opensearch_multivector.ops.service.app import Settings
from opensearch_multivector.ops.service.running import listen
from opensearch_multivector.plugin.mapping import read_spec

COMMAND = [sys.executable, "-m", "opensearch_multivector.cli.main", "serve"]


@pytest.fixture
def free() -> Iterator[socket.socket]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken


def test_what_can_not_be_served_is_said_at_once(
    free: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSMV_URL", "http://127.0.0.1:9")
    none = str(tmp_path / "none")
    for options, told in (
        (("--host", "0.0.0.0"), "anybody who reaches this machine"),
        (("--port", str(free.getsockname()[1])), "can't listen"),
        (("--api-token-file", none), "no token can be read"),
        (("--tokens", none), "can't be read"),
        (("--canaries-every", "soon"), "no time between two checks"),
    ):
        ran = osmv("serve", *options)
        assert (ran.returncode, told in ran.stderr) == (2, True), ran


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ran = osmv("serve")
    assert ran.returncode == 5
    assert "pip install 'opensearch-multivector[serve]'" in ran.stderr


def test_no_answer_waits_for_an_acknowledgement() -> None:
    # By which asyncio knows that it may switch Nagle's algorithm off: 40 ms of each answer.
    with listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


@pytest.mark.integration
def test_it_ends_when_what_is_asked_is_answered(node_url: str, articles: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{OPERATOR}\n")
    options = ["--port", "0", "--host", "0.0.0.0", "--api-token-file", str(token), "--max-concurrent", "1", "--no-warm"]
    log = tmp_path / "log"
    with log.open("wb") as errors:
        serving = subprocess.Popen(
            [*COMMAND, *options], env=os.environ | {"OSMV_URL": node_url}, stdout=subprocess.PIPE, stderr=errors
        )
    try:
        url = address(serving.stdout).replace("0.0.0.0", "127.0.0.1")
        statuses: list[int] = []
        sent = threading.Barrier(6)
        search = {"index": INDEX, "query": "a secret query of ours", "explain": True}
        headers = {"Authorization": f"Bearer {OPERATOR}"}

        def ask() -> None:
            with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
                assert client.get("/caller").status_code == 200
                sent.wait()
                statuses.append(client.post("/search", json=search).status_code)

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        sent.wait()
        # The first search loads the encoder, so that all of them are under way.
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            while sum(client.get("/status").json()[name] for name in ("under_way", "waiting")) < 5 - len(statuses):
                pass
        serving.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        assert serving.wait(60) == 0
    finally:
        serving.kill()
    assert statuses == [200] * 5
    written = log.read_text()
    assert "secret query" not in written
    assert OPERATOR not in written
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["status"] for line in lines if line["route"] == "/search"] == [200] * 5


@pytest.mark.integration
def test_it_is_ready_once_the_encoders_are_loaded_and_writes_events(
    serve: Callable[[Settings], Served], client: OpenSearch
) -> None:
    served = serve(open_settings(warm=True, events=1.0, indices=(INDEX,)))
    end = time.monotonic() + 60
    while served.get("/readyz").status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert served.service.searches.encoders.of(read_spec(client, INDEX).vectors)._model is not None
    answer = served.search(query="bees", size=3)
    names = {stage["name"] for stage in answer["stages"]}
    assert "encode" in names
    served.stop()  # writes what waits
    try:
        client.indices.refresh(index="osmv-events-*")
        (event,) = client.search(index="osmv-events-*", body={"query": {"term": {"index": INDEX}}})["hits"]["hits"]
        assert event["_source"]["hits"] == 3
        assert "text" not in event["_source"]
    finally:
        client.indices.delete(index="osmv-events-*")


def address(stream: IO[bytes] | None) -> str:
    assert stream is not None
    line = stream.readline().decode()
    assert line.startswith("osmv serve at http://"), line
    return line.split()[3]
