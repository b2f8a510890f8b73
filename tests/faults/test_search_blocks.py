"""Searches of indices that are read-only, blocked, closed or have lost a part: as ever, or a clear word."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from attached_index import AttachedIndex, make_attached, remove_attached
from fault_table import FaultRow
from opensearchpy import OpenSearch
from same_hits import assert_same_ranking, ranking
from small_index import EVERY_RERANK, SmallIndex, make_index, make_query

from opensearch_multivector.errors import ClusterError, MismatchError
from opensearch_multivector.plugin.artifacts import ARTIFACT_INDEX
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [pytest.mark.integration, pytest.mark.fault("blocks")]

QUERY = make_query()


@pytest.fixture
def attached(client: OpenSearch) -> Iterator[AttachedIndex]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield make_attached(client, name, count=20, shards=1)
    remove_attached(client, name)


def found(client: OpenSearch, index: str, **options: object) -> list[tuple[str, float]]:
    result = Searcher(client, index).search(QUERY, **options)
    assert result.skipped == {}
    return ranking(result.hits)


@pytest.mark.parametrize("block", ["write", "read_only_allow_delete"])
def test_who_only_reads_is_not_stopped(
    block: str, client: OpenSearch, attached: AttachedIndex, fault_row: FaultRow
) -> None:
    indices = f"{attached.name},{attached.sidecar},{attached.whole.name}"
    before = {name: found(client, name) for name in (attached.name, attached.whole.name)}
    assert before[attached.name]
    client.indices.put_settings(index=indices, body={f"index.blocks.{block}": True})
    try:
        for name, hits in before.items():
            assert_same_ranking(found(client, name), hits)
            fault_row.counts["searches right"] += 1
    finally:
        client.indices.put_settings(index=indices, body={f"index.blocks.{block}": None})


@pytest.mark.parametrize("where", ["name", "sidecar"])
def test_what_can_not_be_read_is_said(
    where: str, client: OpenSearch, attached: AttachedIndex, fault_row: FaultRow
) -> None:
    index = getattr(attached, where)
    hits = found(client, attached.name)
    searcher = Searcher(client, attached.name)
    client.indices.put_settings(index=index, body={"index.blocks.read": True})
    with pytest.raises(ClusterError, match=r"^[^\n]*blocked for reading[^\n]*$"):
        searcher.search(QUERY)
    client.indices.put_settings(index=index, body={"index.blocks.read": None})
    assert_same_ranking(ranking(searcher.search(QUERY).hits), hits)
    client.indices.close(index=index)
    with pytest.raises(ClusterError, match=r"^[^\n]*clos[^\n]*$"):
        searcher.search(QUERY)
    client.indices.open(index=index)
    client.cluster.health(index=index, params={"wait_for_status": "yellow"})
    assert_same_ranking(ranking(searcher.search(QUERY).hits), hits)
    client.indices.delete(index=index)
    for search in (lambda: searcher.search(QUERY), lambda: Searcher(client, attached.name)):
        with pytest.raises((ClusterError, MismatchError), match=rf"^[^\n]*{index}[^\n]*$"):
            search()
        fault_row.counts["refused in a sentence"] += 1


@pytest.fixture
def small(client: OpenSearch, index_name: str) -> SmallIndex:
    return make_index(client, index_name, count=20, shards=1)


def test_a_codebook_that_is_gone(client: OpenSearch, small: SmallIndex, fault_row: FaultRow) -> None:
    """Who has read it goes on; who has not is told; and once it is there again, all is well."""
    searcher = Searcher(client, small.name)
    options = [{"first_stage": "codes", "rerank": rerank} for rerank in (None, *EVERY_RERANK)]
    before = [searcher.search(QUERY, **each) for each in options]
    kept = client.search(index=ARTIFACT_INDEX, body={"size": 1_000})["hits"]["hits"]
    own = [hit for hit in kept if any(part in hit["_id"] for part in small.spec.artifacts.values())]
    assert own
    for hit in own:
        client.delete(index=ARTIFACT_INDEX, id=hit["_id"], params={"refresh": "true"})
    try:
        for each, result in zip(options, before, strict=True):
            again = searcher.search(QUERY, **each)
            assert [(hit.doc_id, hit.score) for hit in again.hits] == [(hit.doc_id, hit.score) for hit in result.hits]
            fault_row.counts["searches right"] += 1
        with pytest.raises((ClusterError, MismatchError), match=r"^[^\n]+$"):
            Searcher(client, small.name)
        fault_row.counts["refused in a sentence"] += 1
    finally:
        for hit in own:
            client.index(index=ARTIFACT_INDEX, id=hit["_id"], body=hit["_source"], params={"refresh": "true"})
    assert Searcher(client, small.name).search(QUERY).hits
