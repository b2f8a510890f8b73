"""Snapshots carry all that a search needs, and what is restored searches as before (docs/operators/backup.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from attached_index import AttachedIndex
from opensearchpy import OpenSearch
from small_index import make_index, make_query

from opensearch_multivector import Searcher
from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.backfill import status_of
from opensearch_multivector.plugin.artifacts import ARTIFACT_INDEX
from opensearch_multivector.plugin.attachments import concrete_index, update_attachment
from opensearch_multivector.plugin.state import STATE_INDEX

pytestmark = pytest.mark.integration
REPOSITORY = "osmv-test"
WAITING = {"wait_for_completion": "true"}


@pytest.fixture
def repository(client: OpenSearch) -> Iterator[str]:
    settings = client.nodes.info(metric="settings", params={"filter_path": "nodes.*.settings.path.repo"})
    if not settings:
        pytest.skip("this cluster has no path.repo, so that no snapshot can be kept in a folder")
    body = {"type": "fs", "settings": {"location": REPOSITORY}}
    client.snapshot.create_repository(repository=REPOSITORY, body=body)
    yield REPOSITORY
    client.snapshot.delete(repository=REPOSITORY, snapshot="*")
    client.snapshot.delete_repository(repository=REPOSITORY)


def take(client: OpenSearch, repository: str, *indices: str) -> None:
    body = {"indices": ",".join(indices), "include_global_state": False}
    done = client.snapshot.create(repository=repository, snapshot="one", body=body, params=WAITING)["snapshot"]
    assert done["state"] == "SUCCESS"
    assert set(done["indices"]) == set(indices)


def restore(client: OpenSearch, repository: str, *indices: str, **options: Any) -> None:
    body = {"indices": ",".join(indices), "include_global_state": False, **options}
    done = client.snapshot.restore(repository=repository, snapshot="one", body=body, params=WAITING)
    assert done["snapshot"]["shards"]["failed"] == 0


def found(client: OpenSearch, index: str, **options: Any) -> list[tuple[str, float]]:
    """What needs the codebook: clauses and scores are made of it."""
    result = Searcher(client, index, **options).search(make_query(), first_stage="codes", rerank="client")
    assert not result.skipped
    return [(hit.doc_id, hit.score) for hit in result.hits]


def test_an_index_with_a_codebook(client: OpenSearch, index_name: str, repository: str) -> None:
    make_index(client, index_name, count=30, codec="residual2")
    before = found(client, index_name)
    take(client, repository, index_name, ARTIFACT_INDEX)
    client.indices.delete(index=[index_name, ARTIFACT_INDEX])
    restore(client, repository, index_name)
    with pytest.raises(MismatchError, match="restore that index from a snapshot"):
        found(client, index_name)
    restore(client, repository, ARTIFACT_INDEX)
    assert found(client, index_name) == before


def test_a_sidecar(client: OpenSearch, make: Callable[..., AttachedIndex], repository: str) -> None:
    attached = make()
    kept = (attached.name, attached.sidecar, ARTIFACT_INDEX, STATE_INDEX)
    before = found(client, attached.name)
    take(client, repository, *kept)
    client.indices.delete(index=list(kept))
    restore(client, repository, *kept)
    # A restored index is another one, which nobody is to take for that of before unasked.
    with pytest.raises(MismatchError, match="made anew"):
        found(client, attached.name)
    with pytest.raises(MismatchError, match="made anew"):
        status_of(client, attached.name)
    _, uuid = concrete_index(client, attached.name)
    update_attachment(client, attached.name, "mv", index_uuid=uuid, made_at=datetime.now(UTC).isoformat())
    assert found(client, attached.name) == before
    status = status_of(client, attached.name)
    assert (status.documents, status.covered, status.missing) == (40, 40, 0)
