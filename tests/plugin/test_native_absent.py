"""A node without the native plugin: `auto` is `client`, the doctor says how to get it, `native` is refused clearly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch
from same_hits import assert_same_hits
from small_index import make_index, make_query
from three_nodes import QUICK_JVM

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin import carried as module
from opensearch_multivector.plugin.connection import cluster_errors, connect_async
from opensearch_multivector.plugin.diagnosis import diagnose
from opensearch_multivector.plugin.engine import ask_engine
from opensearch_multivector.plugin.node import clean_node, java, start_node
from opensearch_multivector.plugin.probe import probe
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A node that a package without the plugin's zip starts, on a machine that has no Java: with the wheel's JRE."""
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(java, "candidates", lambda: iter(()))
    monkeypatch.setenv("JDK_JAVA_OPTIONS", QUICK_JVM)
    name = f"osmv-test-{os.getpid()}-bare"
    clean_node(name)
    yield start_node(name, heap="600m", quiet=True).url
    clean_node(name)


async def test_what_holds_without_it(bare: str) -> None:
    client = OpenSearch(bare, timeout=60)
    small = make_index(client, "bare", count=20)
    assert not ask_engine(client, small.name).scores
    searcher = Searcher(client, small.name)
    client_hits = searcher.search(make_query(), rerank="client").hits
    assert_same_hits(searcher.search(make_query()).hits, client_hits)
    async with connect_async(bare) as async_client:
        found = await (await AsyncSearcher.open(async_client, small.name)).search(make_query())
        assert_same_hits(found.hits, client_hits)
    for stage in ("dense", "bm25+dense"):
        with pytest.raises(ClusterError, match="lacks the native plugin"):
            searcher.search(make_query(), first_stage=stage, rerank="native")
    refused = {"query": {"maxsim": {}}}
    with pytest.raises(ClusterError, match="lacks the native plugin"), cluster_errors():
        client.search(index=small.name, body=refused)
    with pytest.raises(ClusterError, match="lacks the native plugin"), cluster_errors():
        client.indices.create(index="x", body={"mappings": {"properties": {"tv": {"type": "token_vectors"}}}})
    found = probe(client)
    assert found.native is None
    (check,) = [check for check in diagnose(found, None) if check.name == "native plugin"]
    assert (check.state, check.found) == ("absent", "not installed")
