"""One secured OpenSearch for the whole run, and an index on it that everybody may be given a role for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from secured_node import SecuredNode, secured_node
from small_index import SmallIndex, codebook, make_index, subvectors

from opensearch_multivector.plugin.artifacts import ARTIFACT_INDEX, make_artifact, put_artifact
from opensearch_multivector.plugin.node import clean_node, node_names

PREFIX = "osmv-secured-"


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredNode]:
    """A node of this run's own, removed at the end; nodes that killed runs have left are removed first."""
    for name in node_names():
        if name.startswith(PREFIX) and not Path(f"/proc/{name.removeprefix(PREFIX)}").exists():
            clean_node(name)
    with secured_node(f"{PREFIX}{os.getpid()}", tmp_path_factory.mktemp("certificates")) as node:
        yield node


@pytest.fixture(scope="session")
def articles(secured: SecuredNode) -> SmallIndex:
    """30 documents of two groups in one shard, made by the administrator."""
    return make_index(secured.admin, "articles", count=30, shards=1)


@pytest.fixture
def no_artifacts(secured: SecuredNode, articles: SmallIndex) -> Iterator[None]:
    """A cluster without osmv-artifacts; those of `articles` are there again afterwards."""
    secured.admin.indices.delete(index=ARTIFACT_INDEX, ignore_unavailable=True)
    yield
    for artifact in (
        make_artifact("codebook", codebook().arrays()),
        make_artifact("subvectors", subvectors().arrays()),
    ):
        put_artifact(secured.admin, artifact)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tester's own shell says of a cluster."""
    for name in [name for name in os.environ if name.startswith("OSMV_") and name != "OSMV_NODE_USER"]:
        if name != "OSMV_MAVEN_URL":
            monkeypatch.delenv(name)
