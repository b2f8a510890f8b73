"""Every test leaves the cluster without the canaries that it made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from attached_index import AttachedIndex, make_attached, remove_attached
from opensearchpy import OpenSearch
from small_index import SmallIndex, make_index

from opensearch_multivector.errors import MismatchError
from opensearch_multivector.ops.canary import remove_canary


@pytest.fixture
def name(client: OpenSearch, index_name: str) -> Iterator[str]:
    """Of a canary that is removed afterwards."""
    yield index_name
    with contextlib.suppress(MismatchError):  # where the test has removed it itself, or never made it
        remove_canary(client, index_name)


@pytest.fixture(scope="session")
def still(client: OpenSearch) -> Iterator[SmallIndex]:
    """As `small`, and not written to by any test."""
    index = "test-still"
    client.indices.delete(index=index, params={"ignore_unavailable": "true"})
    yield make_index(client, index, count=120)
    client.indices.delete(index=index)


@pytest.fixture
def small(client: OpenSearch, index_name: str) -> SmallIndex:
    """An index of the project's own, of 120 documents in two shards."""
    return make_index(client, f"{index_name}-small", count=120)


@pytest.fixture
def attached(client: OpenSearch, index_name: str) -> Iterator[AttachedIndex]:
    """Somebody's index with a sidecar."""
    yield make_attached(client, index_name, count=40)
    remove_attached(client, index_name)
