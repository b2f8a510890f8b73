"""Whether OpenSearch itself fuses several queries of one search as the client would: the `hybrid` query.

It comes with the neural-search plugin. Each shard hands on a list of its own for every query, so that a search over
several shards fuses longer lists than the client gets; over one shard both fuse the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opensearchpy import OpenSearch, exceptions

from opensearch_multivector.plugin.cluster_errors import cluster_errors
from opensearch_multivector.plugin.probe import NEURAL_SEARCH

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch  # only there with the extra `async`

_PLUGINS = {"filter_path": "nodes.*.name,nodes.*.plugins.name"}
_SHARDS = "index.number_of_shards"


def engine_fuses(client: OpenSearch, index: str) -> bool:
    """Whether every node has the plugin and ``index`` is a single one of one shard.

    False, too, where the user may not ask. Raises ClusterError where the cluster can't be reached.
    """
    with cluster_errors():
        try:
            nodes = client.transport.perform_request("GET", "/_nodes/plugins", params=_PLUGINS)
            return _have_plugin(nodes) and _one_shard(client.indices.get_settings(index=index, name=_SHARDS))
        except exceptions.ConnectionError:
            raise
        except exceptions.TransportError:
            return False


async def engine_fuses_async(client: AsyncOpenSearch, index: str) -> bool:
    """As `engine_fuses`."""
    with cluster_errors():
        try:
            nodes = await client.transport.perform_request("GET", "/_nodes/plugins", params=_PLUGINS)
            return _have_plugin(nodes) and _one_shard(await client.indices.get_settings(index=index, name=_SHARDS))
        except exceptions.ConnectionError:
            raise
        except exceptions.TransportError:
            return False


def _have_plugin(answer: dict[str, Any]) -> bool:
    nodes = answer.get("nodes", {}).values()
    return bool(nodes) and all(
        any(plugin["name"] == NEURAL_SEARCH for plugin in node.get("plugins", ())) for node in nodes
    )


def _one_shard(answer: dict[str, Any]) -> bool:
    shards = [each["settings"]["index"]["number_of_shards"] for each in answer.values()]
    return shards == ["1"]
