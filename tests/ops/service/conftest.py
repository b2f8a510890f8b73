"""A small index of the project's own, and services over it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch
from served import INDEX, OPERATOR, Served, documents, open_settings, tokens_file

from opensearch_multivector.encoding.encoders import MINILM_INT8, load_encoder
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.ops.service import encoders
from opensearch_multivector.ops.service.app import Settings
from opensearch_multivector.ops.service.auth import make_door


@pytest.fixture(scope="package")
def articles(client: OpenSearch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    client.indices.delete(index=INDEX, ignore_unavailable=True)
    letters = tmp_path_factory.mktemp("letters") / "dead.jsonl"
    index_documents(client, INDEX, documents(), encoder=load_encoder(MINILM_INT8), dead_letters=letters)
    yield INDEX
    client.indices.delete(index=INDEX, ignore_unavailable=True)


@pytest.fixture(scope="package")
def serve(node_url: str, articles: str) -> Iterator[Callable[[Settings], Served]]:
    """Starts services, which share what loads encoders: each would load its own."""
    started: list[Served] = []

    def start(settings: Settings) -> Served:
        started.append(Served(node_url, settings))
        return started[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "load_encoder", functools.cache(load_encoder))
        yield start
    for served in started:
        served.stop()


@pytest.fixture(scope="package")
def service(serve: Callable[[Settings], Served]) -> Served:
    """Open to all, filters allowed."""
    return serve(open_settings(filters=True))


@pytest.fixture(scope="package")
def guarded(serve: Callable[[Settings], Served], tmp_path_factory: pytest.TempPathFactory) -> Served:
    """With an operator's token and tenants'."""
    path: Path = tokens_file(tmp_path_factory.mktemp("tokens"))
    return serve(Settings(make_door(OPERATOR, path, ("*",), filters=True), rate=0.0, warm=False))
