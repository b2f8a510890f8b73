"""Fixtures of several tests of attached indices."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from attached_index import AttachedIndex, make_attached, remove_attached
from opensearchpy import OpenSearch


@pytest.fixture(scope="module")
def attached(client: OpenSearch) -> Iterator[AttachedIndex]:
    """Never written to by a test."""
    name = "osmv-test-attached"
    remove_attached(client, name)
    yield make_attached(client, name, shards=1)
    remove_attached(client, name)


@pytest.fixture
def make(client: OpenSearch, index_name: str) -> Iterator[Callable[..., AttachedIndex]]:
    """Makes one that the test may change."""
    yield lambda **options: make_attached(client, index_name, **options)
    remove_attached(client, index_name)
