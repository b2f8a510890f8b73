"""OpenSearch's image as people run it: nothing but its data can be written, nobody is root, and the plugin is there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from contained import HOME, Containers, said
from opensearchpy import OpenSearch
from small_index import make_index, make_query

from opensearch_multivector.queries.searcher import Searcher

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer


def test_nobody_is_root(node: DockerContainer) -> None:
    assert said(node, "id", "-u") == (0, "1000")
    status, processes = said(node, "sh", "-c", "grep -h ^Uid /proc/[0-9]*/status")
    assert status == 0
    assert {line.split()[1] for line in processes.splitlines()} == {"1000"}


@pytest.mark.parametrize("folder", ["", "config", "plugins", "lib", "bin"])
def test_only_data_can_be_written(node: DockerContainer, folder: str) -> None:
    status, words = said(node, "touch", f"{HOME}/{folder}/new")
    assert status != 0
    assert "Read-only file system" in words
    for kept in ("data", "logs"):
        assert said(node, "touch", f"{HOME}/{kept}/new") == (0, "")


def test_its_own_health_check_finds_it_well(containers: Containers, node: DockerContainer) -> None:
    image = containers.images.opensearch()
    check = json.loads(containers.engine.run("image", "inspect", "--format", "{{json .Config.Healthcheck}}", image))
    assert "_cluster/health" in check["Test"][-1]
    assert containers.health(node) == "healthy"


def test_the_plugin_searches(node: DockerContainer, contained: OpenSearch) -> None:
    answering = {each["component"] for each in contained.cat.plugins(format="json")}
    assert {"opensearch-multivector", "opensearch-knn", "opensearch-neural-search"} <= answering
    assert set(said(node, "bin/opensearch-plugin", "list")[1].split()) == answering
    index = make_index(contained, "small", count=20, shards=1)
    searcher = Searcher(contained, index.name)
    native = searcher.search(make_query(), rerank="native").hits
    client = searcher.search(make_query(), rerank="client").hits
    assert [hit.doc_id for hit in native] == [hit.doc_id for hit in client]
    assert [hit.score for hit in native] == pytest.approx([hit.score for hit in client], abs=1e-4)


def test_settings_come_from_the_environment(node: DockerContainer, contained: OpenSearch) -> None:
    (settings,) = contained.nodes.info(metric="settings")["nodes"].values()
    assert settings["settings"]["discovery"]["type"] == "single-node"
    (jvm,) = contained.nodes.info(metric="jvm")["nodes"].values()
    assert jvm["jvm"]["mem"]["heap_max_in_bytes"] == 600 << 20
    assert said(node, "./opensearch-docker-entrypoint.sh", "id", "-un") == (0, "opensearch")


def test_the_plugin_adds_less_than_five_megabytes(containers: Containers) -> None:
    image = containers.images.opensearch()
    base = containers.engine.run("image", "inspect", "--format", '{{index .Config.Labels "osmv.base"}}', image)
    sizes = [containers.images.size(each) for each in (base, image)]
    containers.figures["OpenSearch's base, MB"] = f"{sizes[0] / 1e6:.0f}"
    containers.figures["what the plugin adds to it, MB"] = f"{(sizes[1] - sizes[0]) / 1e6:.2f}"
    assert 0 < sizes[1] - sizes[0] < 5_000_000
