"""Snapshots carry all that a search needs, and what is restored searches as before (docs/operators/backup.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from attached_texts import WordEncoder, own_documents, put
from attached_texts import make_index as make_texts
from opensearchpy import OpenSearch
from osmv_here import osmv
from same_hits import ranking
from small_index import make_index, make_query

from opensearch_multivector import Searcher
from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.attach.adopt import adopt
from opensearch_multivector.indexing.attach.apply import attach
from opensearch_multivector.indexing.attach.wanted import Wanted
from opensearch_multivector.indexing.backfill import Filler, status_of
from opensearch_multivector.plugin.artifacts import ARTIFACT_INDEX, delete_artifact, get_artifact, put_artifact
from opensearch_multivector.plugin.attachments import (
    IN_PLACE,
    SIDECAR,
    get_attachment,
    put_attachment,
    remove_attachment,
    sidecar_name,
    update_attachment,
)
from opensearch_multivector.plugin.mapping import read_spec
from opensearch_multivector.plugin.state import STATE_INDEX
from opensearch_multivector.plugin.sub_fields import Codes, Slim

pytestmark = pytest.mark.integration
ENCODER = WordEncoder()
WANTED = Wanted(("text",), ENCODER, ENCODER, "f32", sub_fields=(Slim(), Codes()))
COUNT = 40
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


def write_texts(client: OpenSearch, index: str) -> None:
    make_texts(client, index)
    put(client, index, {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(COUNT)})
    client.indices.refresh(index=index)


@pytest.fixture
def attached(client: OpenSearch, index_name: str) -> Iterator[str]:
    """An index of texts with a sidecar, codebook and all."""
    write_texts(client, index_name)
    attach(client, index_name, WANTED, SIDECAR)
    assert fill(client, index_name) == COUNT
    yield index_name
    remove_attachment(client, index_name, "mv")
    client.indices.delete(index=sidecar_name(index_name), params={"ignore_unavailable": "true"})


def fill(client: OpenSearch, index: str) -> int:
    return Filler(client, index, encoder=ENCODER, term_encoder=ENCODER).backfill().written


def searched(client: OpenSearch, index: str) -> list[tuple[str, float]]:
    searcher = Searcher(client, index, encoder=ENCODER, term_encoder=ENCODER)
    return ranking(searcher.search("one3 two3", first_stage="codes", rerank="client").hits)


def test_a_sidecar(client: OpenSearch, node_url: str, attached: str, repository: str) -> None:
    kept = (attached, sidecar_name(attached), ARTIFACT_INDEX, STATE_INDEX)
    before = searched(client, attached)
    assert osmv("backfill", attached, "--pause", "--url", node_url).returncode == 0
    put(client, attached, {"late": {"text": "one3", "price": 1}})  # and not in the sidecar yet
    take(client, repository, *kept)
    client.indices.delete(index=list(kept))
    restore(client, repository, *kept)
    # A restored index is another one, which nobody is to take for that of before unasked.
    with pytest.raises(MismatchError, match=r"made anew .* `osmv adopt` it"):
        searched(client, attached)
    with pytest.raises(MismatchError, match=r"made anew .* `osmv adopt` it"):
        status_of(client, attached)
    done = osmv("adopt", attached, "--json", "--url", node_url)
    expected = {"index": attached, "field": "mv", "mode": "sidecar", "target": sidecar_name(attached)}
    assert json.loads(done.stdout) == expected | {"adopted": True}
    assert searched(client, attached) == before
    assert fill(client, attached) == 1  # what is filled is not encoded again
    status = status_of(client, attached, verify=True)
    assert (status.complete, status.documents, status.paused) == (True, COUNT + 1, False)
    again = osmv("adopt", attached, "--url", node_url)
    assert (again.returncode, again.stdout.split(": ")[1]) == (0, "nothing to adopt\n")


def test_a_field_in_place(client: OpenSearch, index_name: str, repository: str) -> None:
    write_texts(client, index_name)
    attach(client, index_name, WANTED, IN_PLACE)
    assert fill(client, index_name) == COUNT
    before = searched(client, index_name)
    take(client, repository, index_name)
    client.indices.delete(index=index_name)
    restore(client, repository, index_name)
    assert searched(client, index_name) == before  # the index describes itself
    with pytest.raises(MismatchError, match="made anew"):
        fill(client, index_name)
    assert adopt(client, index_name)[1]
    assert fill(client, index_name) == 0
    remove_attachment(client, index_name, "mv")


@pytest.mark.parametrize("made", ["of other texts", "in another order"])
def test_an_index_that_the_sidecar_is_not_of(made: str, client: OpenSearch, node_url: str, attached: str) -> None:
    """Not restored, but made anew from its source: of the same ids, perhaps with the same sequence numbers."""
    documents = own_documents(client, attached)
    client.indices.delete(index=attached)
    make_texts(client, attached)
    if made == "in another order":
        documents = dict(reversed(documents.items()))
    else:
        documents = {doc_id: body | {"text": "of today"} for doc_id, body in documents.items()}
    put(client, attached, documents)
    before = get_attachment(client, attached)
    refused = osmv("adopt", attached, "--url", node_url)
    what = "of another text" if made == "of other texts" else "what a later write had"
    assert refused.returncode == 4
    assert f"does not fit index {attached!r}" in refused.stderr
    assert what in refused.stderr
    assert get_attachment(client, attached) == before


def test_what_is_not_to_be_adopted(client: OpenSearch, attached: str) -> None:
    with pytest.raises(MismatchError, match="no attached field 'other'"):
        adopt(client, attached, "other")
    kept = get_attachment(client, attached)
    assert adopt(client, attached) == (kept, False)
    others: list[tuple[dict[str, Any], str]] = [
        ({"detaching": True}, "is being detached"),
        ({"fingerprint": "other"}, "describes another field"),
        ({"source": "before"}, "was being replaced by a copy"),
    ]
    for changes, said in others:
        update_attachment(client, attached, "mv", index_uuid="before", **changes)
        with pytest.raises(MismatchError, match=said):
            adopt(client, attached)
        put_attachment(client, kept)
    (artifact_id,) = read_spec(client, kept.target).artifacts.values()
    artifact = get_artifact(client, artifact_id)
    delete_artifact(client, artifact_id)
    update_attachment(client, attached, "mv", index_uuid="before")
    with pytest.raises(MismatchError, match="restore that index from a snapshot"):
        adopt(client, attached)
    put_artifact(client, artifact)
    assert adopt(client, attached)[1]
