"""A cluster that is busy, out of reach or choosy for a while: nothing is lost, doubled, or sent without need."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flaky_proxy import Exchange, Fault, flaky_proxy
from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing import IndexSummary, Limits, index_documents

pytestmark = [pytest.mark.integration, pytest.mark.fault("proxy")]

COUNT = 60
LIMITS = Limits(batch=10, bulk_documents=10, patience=60)


def rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    documents = [{"id": f"d{i}", "text": f"w{i}", "vectors": rng.normal(size=(2, 4))} for i in range(COUNT)]
    # Duplicates in the same batch and far away: a retry must not let the later line win.
    documents[15] = documents[14] | {"text": "later"}
    documents[55] = documents[3] | {"text": "later"}
    return documents


def load(url: str, index: str, folder: Path, limits: Limits = LIMITS) -> IndexSummary:
    with OpenSearch(url, timeout=30, max_retries=0) as client:
        return index_documents(client, index, rows(), encoder=None, dead_letters=folder / "dead.jsonl", limits=limits)


def busy(exchange: Exchange) -> None:
    if exchange.number % 3 == 0:
        exchange.refuse(429, "rejected_execution_exception")
    else:
        exchange.forward()


def unavailable(exchange: Exchange) -> None:
    if exchange.number % 2:
        exchange.refuse(503, "cluster_block_exception")
    else:
        exchange.forward()


def cut_off(exchange: Exchange) -> None:
    if exchange.number % 3 == 0:
        exchange.drop()
    else:
        exchange.forward()


def lost(exchange: Exchange) -> None:
    exchange.upstream(exchange.body)
    exchange.drop()


def answer_lost(exchange: Exchange) -> None:
    if exchange.number % 3 == 0:
        lost(exchange)
    else:
        exchange.forward()


def too_large(exchange: Exchange) -> None:
    if len(exchange.pairs()) > 3:
        exchange.refuse(413, "content_too_long_exception")
    else:
        exchange.forward()


def some_items_busy(exchange: Exchange) -> None:
    exchange.forward_without(set(range(0, len(exchange.pairs()), 2)) if exchange.number % 2 else set())


@pytest.mark.parametrize("fault", [busy, unavailable, cut_off, answer_lost, too_large, some_items_busy])
def test_every_document_arrives_once(
    fault: Fault, node_url: str, client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    with flaky_proxy(node_url, fault) as proxy:
        summary = load(proxy.url, index_name, tmp_path)
    assert (summary.read, summary.indexed, summary.rejected) == (COUNT, COUNT - 2, 2)
    assert sorted((entry.line, entry.reason) for entry in summary.rejections) == [
        (16, "duplicate of line 15"),
        (56, "duplicate of line 4"),
    ]
    hits = client.search(index=index_name, body={"size": 100})["hits"]["hits"]
    expected = {row["id"]: row["text"] for row in rows() if row["text"] != "later"}
    assert {hit["_id"]: hit["_source"]["text"] for hit in hits} == expected
    assert len(hits) == COUNT - 2
    sent = [doc_id for bulk in proxy.bulks for doc_id in bulk]
    if fault is some_items_busy:
        # Only what was refused was sent again: each item at most thrice, and about half of them once.
        assert len(sent) < 2 * COUNT
        assert sum(sent.count(doc_id) == 1 for doc_id in set(sent)) >= COUNT // 3
    assert len(proxy.bulks) > COUNT // 10


def test_gives_up_after_a_while_and_can_be_resumed(
    node_url: str, client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    def dies(exchange: Exchange) -> None:
        if exchange.number > 3:
            exchange.refuse(429, "rejected_execution_exception")
        else:
            exchange.forward()

    with (
        flaky_proxy(node_url, dies) as proxy,
        pytest.raises(ClusterError, match=r"has not taken \d+ documents in 1 s: .*the same command goes on from there"),
    ):
        load(proxy.url, index_name, tmp_path, Limits(batch=10, bulk_documents=10, patience=1))
    summary = load(node_url, index_name, tmp_path)
    assert summary.resumed_from >= 20
    assert (summary.read, summary.indexed, summary.rejected) == (COUNT, COUNT - 2, 2)


def test_a_checkpoint_is_written_once_the_cluster_is_there_again(
    node_url: str, client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    """Each second write of one fails, in turn before and after the cluster has got it."""
    faults = itertools.cycle([Exchange.forward, Exchange.drop, Exchange.forward, lost, Exchange.forward, refused])
    struck: list[Fault] = []

    def checkpoints(exchange: Exchange) -> None:
        writes = exchange.handler.command == "PUT" and "/osmv-state/_doc/run-" in exchange.handler.path
        fault = next(faults) if writes else Exchange.forward
        if fault is not Exchange.forward:
            struck.append(fault)
        fault(exchange)

    with flaky_proxy(node_url, checkpoints, None) as proxy:
        limits = Limits(batch=10, bulk_documents=10, checkpoint_lines=5, in_flight=1, patience=60)
        summary = load(proxy.url, index_name, tmp_path, limits)
    assert (summary.read, summary.indexed, summary.rejected) == (COUNT, COUNT - 2, 2)
    assert len(set(struck)) == 3
    # What is stored last says that it is done: the same command starts at the first line.
    assert load(node_url, index_name, tmp_path).resumed_from == 0


def refused(exchange: Exchange) -> None:
    exchange.refuse(503, "unavailable_shards_exception")


def test_a_write_block_is_no_documents_fault(
    node_url: str, client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    load(node_url, index_name, tmp_path)
    client.indices.put_settings(index=index_name, body={"index.blocks.write": True})
    with pytest.raises(ClusterError, match="block"):
        load(node_url, index_name, tmp_path)
    client.indices.put_settings(index=index_name, body={"index.blocks.write": False})
    assert load(node_url, index_name, tmp_path).indexed == COUNT - 2
