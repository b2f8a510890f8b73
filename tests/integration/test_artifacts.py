"""Data-dependent arrays in the cluster: stored whole or not at all, and never taken for something else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from opensearchpy import OpenSearch

from opensearch_multivector.errors import MismatchError
from opensearch_multivector.plugin import artifacts
from opensearch_multivector.plugin.artifacts import (
    ARTIFACT_INDEX,
    Artifact,
    get_artifact,
    get_artifact_async,
    list_artifacts,
    make_artifact,
    put_artifact,
)
from opensearch_multivector.plugin.connection import connect_async

pytestmark = pytest.mark.integration

REFRESH = {"refresh": "true"}


@pytest.fixture
def artifact(client: OpenSearch, monkeypatch: pytest.MonkeyPatch) -> Iterator[Artifact]:
    """Arrays that no other test has, in several parts."""
    monkeypatch.setattr(artifacts, "_PART_BYTES", 3_000)
    random = np.random.default_rng()
    made = make_artifact(
        "test", {"a": random.normal(size=(50, 40)).astype(np.float16), "b": random.integers(0, 9, 7)}, {"note": "x"}
    )
    yield made
    ids = [made.id, *(f"{made.id}.{part}" for part in range(9))]
    client.delete_by_query(index=ARTIFACT_INDEX, body={"query": {"ids": {"values": ids}}}, params=REFRESH)


async def test_what_is_put_comes_back(client: OpenSearch, node_url: str, artifact: Artifact) -> None:
    put_artifact(client, artifact)
    found = get_artifact(client, artifact.id)
    assert (found.kind, found.id, found.info) == ("test", artifact.id, {"note": "x"})
    for name, array in artifact.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)
    assert list_artifacts(client, "test")[artifact.id]["parts"] > 1
    assert artifact.id not in list_artifacts(client, "codebook")
    async with connect_async(node_url) as async_client:
        again = await get_artifact_async(async_client, artifact.id)
    np.testing.assert_array_equal(again.arrays["a"], artifact.arrays["a"])


def test_the_index_is_hidden(client: OpenSearch, artifact: Artifact) -> None:
    put_artifact(client, artifact)
    assert ARTIFACT_INDEX not in client.indices.get(index="*")


def test_many_at_once_store_it_once(client: OpenSearch, artifact: Artifact) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: put_artifact(client, artifact), range(6)))
    np.testing.assert_array_equal(get_artifact(client, artifact.id).arrays["a"], artifact.arrays["a"])


def test_one_that_is_cut_off_before_its_head_is_not_there_and_can_be_put_again(
    client: OpenSearch, artifact: Artifact
) -> None:
    put_artifact(client, artifact)
    client.delete(index=ARTIFACT_INDEX, id=artifact.id, params=REFRESH)
    with pytest.raises(MismatchError, match="missing, cut or altered"):
        get_artifact(client, artifact.id)
    assert artifact.id not in list_artifacts(client, "test")
    put_artifact(client, artifact)
    assert get_artifact(client, artifact.id).id == artifact.id


def test_a_missing_part(client: OpenSearch, artifact: Artifact) -> None:
    put_artifact(client, artifact)
    client.delete(index=ARTIFACT_INDEX, id=f"{artifact.id}.1", params=REFRESH)
    with pytest.raises(MismatchError, match=f"{artifact.id}.*missing, cut or altered"):
        get_artifact(client, artifact.id)


@pytest.mark.parametrize("damage", ["cut", "flipped", "no base64", "another's"])
def test_a_damaged_part(client: OpenSearch, artifact: Artifact, damage: str) -> None:
    put_artifact(client, artifact)
    data = client.get(index=ARTIFACT_INDEX, id=f"{artifact.id}.1")["_source"]["data"]
    damaged = {
        "cut": data[: len(data) // 8 * 4],
        "flipped": data[:400] + ("A" if data[400] != "A" else "B") + data[401:],
        "no base64": "?" + data[1:],
        "another's": client.get(index=ARTIFACT_INDEX, id=f"{artifact.id}.0")["_source"]["data"],
    }[damage]
    client.index(index=ARTIFACT_INDEX, id=f"{artifact.id}.1", body={"data": damaged}, params=REFRESH)
    with pytest.raises(MismatchError, match="missing, cut or altered"):
        get_artifact(client, artifact.id)


def test_putting_a_damaged_one_again_mends_it(client: OpenSearch, artifact: Artifact) -> None:
    put_artifact(client, artifact)
    client.delete(index=ARTIFACT_INDEX, id=f"{artifact.id}.1", params=REFRESH)
    put_artifact(client, artifact)
    np.testing.assert_array_equal(get_artifact(client, artifact.id).arrays["a"], artifact.arrays["a"])


def test_the_id_is_of_content_and_kind() -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3)}
    one = make_artifact("codebook", arrays).id
    assert one == make_artifact("codebook", {"a": arrays["a"].copy()}, {"info": "does not count"}).id
    others = [
        make_artifact("projection", arrays),
        make_artifact("codebook", {"b": arrays["a"]}),
        make_artifact("codebook", {"a": arrays["a"].reshape(3, 2)}),
        make_artifact("codebook", {"a": arrays["a"].astype(np.float32)}),
        make_artifact("codebook", {"a": arrays["a"] + np.eye(2, 3) * 1e-12}),
    ]
    assert len({one, *(other.id for other in others)}) == 6
