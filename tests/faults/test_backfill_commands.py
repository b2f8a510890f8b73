"""`osmv backfill`, `osmv follow` and `osmv status` as an operator calls them, with a real encoder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from attached_texts import attach, make_index, put
from opensearchpy import OpenSearch
from osmv_here import osmv

from opensearch_multivector.encoding.encoders import MINILM_INT8, load_encoder
from opensearch_multivector.plugin.attachments import SIDECAR, Attachment
from opensearch_multivector.plugin.fields import EncoderRef, FieldSpec

pytestmark = pytest.mark.integration


@pytest.fixture
def attachment(client: OpenSearch, index_name: str) -> Iterator[Attachment]:
    pytest.importorskip("onnxruntime")
    encoder = load_encoder(MINILM_INT8)
    ref = EncoderRef(encoder.name, encoder.fingerprint)
    make_index(client, index_name)
    put(client, index_name, {f"d{i}": {"text": f"text number {i}", "price": i} for i in range(20)})
    made = attach(
        client, index_name, SIDECAR, FieldSpec("mv", encoder.dim, "int8", ref, None, ("text",), (), has_text_copy=False)
    )
    yield made
    client.indices.delete(index=made.target, ignore_unavailable=True)


def command(url: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "opensearch_multivector.cli.main", *arguments, "--url", url]


def state(url: str, index: str, *options: str) -> dict[str, Any]:
    code, output, _ = osmv("status", index, "--json", *options, "--url", url)
    status: dict[str, Any] = json.loads(output)
    assert code == (0 if status["complete"] else 1)
    return status


def test_pause_resume_and_what_is_left(node_url: str, attachment: Attachment) -> None:
    index = attachment.index
    assert (state(node_url, index)["missing"], state(node_url, index)["pending"]) == (20, 20)
    assert osmv("backfill", index, "--pause", "--url", node_url)[0] == 0
    code, _, error = osmv("backfill", index, "--url", node_url)
    assert (code, "is paused: give --resume" in error) == (2, True)
    code, output, _ = osmv("backfill", index, "--resume", "--json", "--url", node_url)
    summary = json.loads(output)
    assert (code, summary["written"], summary["refused"], summary["interrupted"]) == (0, 20, 0, False)
    status = state(node_url, index, "--verify")
    assert (status["complete"], status["covered"], status["stale"], status["paused"]) == (True, 20, 0, False)
    code, shown, _ = osmv("status", index, "--url", node_url)
    assert code == 0
    assert f"in the sidecar {attachment.target}" in shown
    assert "not looked for (--verify)" in shown


def test_what_is_not_attached_is_said_in_a_sentence(node_url: str, client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name)
    for name in ("backfill", "follow", "status"):
        code, _, error = osmv(name, index_name, "--url", node_url)
        assert (code, "attach it with `osmv attach`" in error, error.count("\n")) == (4, True, 1)


def test_follow_encodes_what_comes_until_it_is_stopped(
    node_url: str, client: OpenSearch, attachment: Attachment
) -> None:
    index = attachment.index
    assert osmv("follow", index, "--once", "--url", node_url)[0] == 0
    started = command(node_url, "follow", index, "--interval", "0.2", "--json")
    follower = subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        put(client, index, {"new": {"text": "a new one"}})
        client.delete(index=index, id="d1")
        deadline = time.monotonic() + 120
        while not state(node_url, index, "--verify")["complete"]:
            assert time.monotonic() < deadline
            assert follower.poll() is None
        client.indices.refresh(index=attachment.target)
        there = client.search(index=attachment.target, body={"size": 100})["hits"]["hits"]
        assert {hit["_id"] for hit in there} == {f"d{i}" for i in range(20) if i != 1} | {"new"}
        os.kill(follower.pid, signal.SIGINT)
        output, _ = follower.communicate(timeout=60)
    finally:
        follower.kill()
        follower.communicate()
    assert follower.returncode == 0
    last = json.loads(output.splitlines()[-1])
    assert (last["written"], last["orphans"]) == (1, 1)
