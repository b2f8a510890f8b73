"""What OpenSearch can do itself, read from what its nodes answer."""

from __future__ import annotations

import pytest

from opensearch_multivector.plugin.engine import Engine, _engine
from opensearch_multivector.plugin.probe import KNN, NATIVE, NEURAL_SEARCH

ONE_SHARD = {"a": {"settings": {"index": {"number_of_shards": "1"}}}}
TWO_INDICES = ONE_SHARD | {"b": {"settings": {"index": {"number_of_shards": "1"}}}}
BOTH = [KNN, NATIVE, NEURAL_SEARCH]


@pytest.mark.parametrize(
    ("nodes", "settings", "engine"),
    [
        ([BOTH, BOTH], ONE_SHARD, Engine(fuses=True, scores=True)),
        ([BOTH, BOTH], TWO_INDICES, Engine(fuses=False, scores=True)),
        ([BOTH, [KNN, NEURAL_SEARCH]], ONE_SHARD, Engine(fuses=True, scores=False)),
        ([BOTH, None], ONE_SHARD, Engine()),  # a node without plugins
        ([], ONE_SHARD, Engine()),
    ],
)
def test_what_every_node_has(
    nodes: list[list[str] | None], settings: dict[str, dict[str, dict[str, dict[str, str]]]], engine: Engine
) -> None:
    answer = {
        f"n{i}": {"name": f"n{i}"} | ({"plugins": [{"name": each} for each in names]} if names is not None else {})
        for i, names in enumerate(nodes)
    }
    assert _engine({"nodes": answer}, settings) == engine
