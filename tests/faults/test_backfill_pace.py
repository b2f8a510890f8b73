"""While a field is filled, the index's own searches stay as fast as is wanted: seen on the real node."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from attached_texts import PACE, attach, check_filled, filler, make_index, put
from flaky_proxy import Exchange, flaky_proxy
from opensearchpy import OpenSearch

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.backfill import status_of
from opensearch_multivector.indexing.backfill.probes import read_probes, usual_probes
from opensearch_multivector.plugin.attachments import IN_PLACE

pytestmark = pytest.mark.integration
DOCUMENTS: dict[str, dict[str, Any]] = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(60)}


def slower_when_written(exchange: Exchange) -> None:
    """Searches as a cluster answers them that can't do more than 6 documents a second beside: any machine does."""
    now = time.monotonic()
    if exchange.handler.path.split("?")[0].endswith("_bulk"):
        writes.extend([now] * len(exchange.pairs()))
        exchange.forward()
        return
    status, body = exchange.upstream(exchange.body)
    answer = json.loads(body)
    if "took" in answer and b'"match"' in exchange.body:
        load = sum(at > now - 2 for at in writes) / 2 / 6
        answer["took"] = 5 if load < 0.75 else 40
    exchange.reply(status, json.dumps(answer).encode())


writes: list[float] = []


def test_the_rate_follows_the_searches(node_url: str, client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name)
    put(client, index_name, DOCUMENTS)
    client.indices.refresh(index=index_name)
    attachment = attach(client, index_name, IN_PLACE)
    writes.clear()
    seen: list[dict[str, Any]] = []
    paces: list[dict[str, Any]] = []
    pace = replace(PACE, batch=64, target_p99=20.0)
    with (
        flaky_proxy(node_url, slower_when_written, ("_search", "_bulk")) as proxy,
        OpenSearch(proxy.url, timeout=60) as through,
    ):
        running = filler(through, index_name, pace=pace)
        worker = threading.Thread(target=lambda: seen.append(running.backfill().to_dict()["searches"]))
        worker.start()
        while worker.is_alive():
            paces += status_of(client, index_name).paces.values()
            time.sleep(0.5)
    (searches,) = seen
    assert searches["lowered"] >= 1
    assert searches["failed"] == 0
    assert searches["probes"] > 20
    # It never was far above what the cluster can do: doubled once, from 10 a second, and then by steps.
    assert max(sum(at <= each < at + 2 for each in writes) / 2 for at in writes) < 30
    assert any({"rate", "p99", "target_p99"} <= pace.keys() for pace in paces)
    check_filled(client, attachment, DOCUMENTS)


def test_the_users_own_searches(client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    make_index(client, index_name)
    put(client, index_name, DOCUMENTS)
    client.indices.refresh(index=index_name)
    attachment = attach(client, index_name, IN_PLACE)
    probes = usual_probes(client, attachment)
    words = {word for body in DOCUMENTS.values() for word in body["text"].split()}
    assert all(set(probe["query"]["match"]["text"].split()) <= words for probe in probes)
    file = tmp_path / "searches.jsonl"
    file.write_text('{"query": {"match": {"text": "one1"}}}\n\n{"query": {"mtach": {"text": "one1"}}}\n')
    with pytest.raises(InputError, match=r"probe 2 is refused: .*mtach"):
        filler(client, index_name, pace=replace(PACE, target_p99=50.0, probes=read_probes(file)))
    file.write_text('{"query": {"match": {"text": "one1"}}}\n[1]\n')
    with pytest.raises(InputError, match="line 2"):
        read_probes(file)
    file.write_text('{"query": {"match": {"text": "one1"}}}\n')
    own = filler(client, index_name, pace=replace(PACE, target_p99=10_000.0, probes=read_probes(file)))
    summary = own.backfill()
    assert summary.searches is not None
    assert (summary.searches["failed"], summary.searches["lowered"]) == (0, 0)
    check_filled(client, attachment, DOCUMENTS)
    # The threads that searched have ended with it.
    assert not [thread for thread in threading.enumerate() if thread.name in ("osmv-probes", "osmv-heartbeat")]
