"""The image of `osmv serve`: slim, nobody is root, nothing can be written, and texts find texts through it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest
from contained import Containers, name_of, said, url_of
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders import MINILM_INT8, load_encoder
from opensearch_multivector.indexing import index_documents

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

TOKEN = "a-token-of-the-tests"
DOCUMENTS = [
    {"id": "bees", "text": "bees find their way home by the sun"},
    {"id": "eels", "text": "eels cross an ocean to spawn"},
    {"id": "owls", "text": "owls hunt in silence at night"},
]


@pytest.fixture(scope="module")
def animals(contained: OpenSearch, tmp_path_factory: pytest.TempPathFactory) -> str:
    letters = tmp_path_factory.mktemp("letters") / "dead.jsonl"
    index_documents(contained, "animals", DOCUMENTS, encoder=load_encoder(MINILM_INT8), dead_letters=letters)
    return "animals"


@pytest.fixture(scope="module")
def service(containers: Containers, network: str, animals: str) -> Iterator[DockerContainer]:
    containers.images.service()
    began = time.monotonic()
    environment = {"OSMV_URL": f"http://{name_of('node')}:9200", "OSMV_API_TOKEN": TOKEN}
    with containers.service("service", environment, network=network) as started:
        containers.figures["the service, from run to ready, s"] = f"{time.monotonic() - began:.0f}"
        yield started


def test_texts_find_texts_through_it(service: DockerContainer, animals: str) -> None:
    with httpx.Client(base_url=url_of(service, 9680), timeout=60) as client:
        assert client.get("/healthz").status_code == 200
        asked = {"index": animals, "query": "which animal hunts when it is dark"}
        assert client.post("/search", json=asked).status_code == 401
        answer = client.post("/search", json=asked, headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["hits"][0]["doc_id"] == "owls"


def test_nobody_is_root_and_nothing_can_be_written(service: DockerContainer) -> None:
    assert said(service, "id", "-u") == (0, "1000")
    for folder in ("/opt/osmv", "/usr", "/var"):
        status, words = said(service, "touch", f"{folder}/new")
        assert status != 0
        assert "Read-only file system" in words


def test_its_own_health_check_finds_it_well(containers: Containers, service: DockerContainer) -> None:
    assert containers.health(service) == "healthy"


def test_it_is_without_torch_and_keeps_no_settings_of_the_build(
    containers: Containers, service: DockerContainer
) -> None:
    assert said(service, "python3", "-c", "import torch")[0] != 0
    assert said(service, "test", "-s", "/etc/pip.conf")[0] != 0
    image = containers.images.service()
    containers.figures["the service's image, MB"] = f"{containers.images.size(image) / 1e6:.0f}"
