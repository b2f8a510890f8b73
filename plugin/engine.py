"""What OpenSearch itself can do of a search, for requests that leave open where it is done (``"auto"``).

Fusing takes the `hybrid` query of the neural-search plugin. Each shard hands on a list of its own for every query, so
that a search over several shards fuses longer lists than the client gets; over one shard both fuse the same. MaxSim
takes the native plugin.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from opensearchpy import OpenSearch, exceptions

from opensearch_multivector.plugin.cluster_errors import cluster_errors
from opensearch_multivector.plugin.probe import NATIVE, NEURAL_SEARCH

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch  # only there with the extra `async`

_PLUGINS = {"filter_path": "nodes.*.name,nodes.*.plugins.name"}
_BUSY = 429
_SHARDS = "index.number_of_shards"
# Where a user's role holds a query (document-level security), every search is wrapped in it, which `hybrid` refuses.
_TRIAL = {"size": 0, "query": {"hybrid": {"queries": [{"match_none": {}}]}}}


@dataclass(frozen=True, slots=True)
class Engine:
    """``fuses``: whether it fuses as the client would, for one index; ``scores``: whether it computes MaxSim.

    ``lasting``: whether it stays so; False: somebody was too busy to say, so that it is to be asked again.
    """

    fuses: bool = False
    scores: bool = False
    lasting: bool = field(default=True, compare=False)


def ask_engine(client: OpenSearch, index: str) -> Engine:
    """What every node can do; nothing where the user may not ask. Raises ClusterError where nobody answers."""
    with cluster_errors():
        try:
            nodes = client.transport.perform_request("GET", "/_nodes/plugins", params=_PLUGINS)
            engine = _engine(nodes, client.indices.get_settings(index=index, name=_SHARDS))
            if engine.fuses:
                try:
                    client.search(index=index, body=_TRIAL)
                except exceptions.TransportError as error:  # it does not fuse, whatever else it can
                    return replace(engine, fuses=False, lasting=_lasting(error))
            return engine
        except exceptions.ConnectionError:
            raise
        except exceptions.TransportError as error:
            return Engine(lasting=_lasting(error))


async def ask_engine_async(client: AsyncOpenSearch, index: str) -> Engine:
    """As `ask_engine`."""
    with cluster_errors():
        try:
            nodes = await client.transport.perform_request("GET", "/_nodes/plugins", params=_PLUGINS)
            engine = _engine(nodes, await client.indices.get_settings(index=index, name=_SHARDS))
            if engine.fuses:
                try:
                    await client.search(index=index, body=_TRIAL)
                except exceptions.TransportError as error:  # it does not fuse, whatever else it can
                    return replace(engine, fuses=False, lasting=_lasting(error))
            return engine
        except exceptions.ConnectionError:
            raise
        except exceptions.TransportError as error:
            return Engine(lasting=_lasting(error))


def has_native(client: OpenSearch) -> bool:
    """Whether every node has the native plugin; False where the user may not ask. Raises ClusterError."""
    with cluster_errors():
        try:
            return NATIVE in _everywhere(client.transport.perform_request("GET", "/_nodes/plugins", params=_PLUGINS))
        except exceptions.AuthorizationException:
            return False


def _lasting(error: exceptions.TransportError) -> bool:
    """Whether a refusal is for good: being busy is not."""
    return isinstance(error.status_code, int) and error.status_code < 500 and error.status_code != _BUSY


def _engine(nodes: dict[str, Any], settings: dict[str, Any]) -> Engine:
    shards = [each["settings"]["index"]["number_of_shards"] for each in settings.values()]
    everywhere = _everywhere(nodes)
    return Engine(fuses=NEURAL_SEARCH in everywhere and shards == ["1"], scores=NATIVE in everywhere)


def _everywhere(nodes: dict[str, Any]) -> set[str]:
    """The plugins that every node has."""
    plugins = [{plugin["name"] for plugin in node.get("plugins", ())} for node in nodes.get("nodes", {}).values()]
    return set.intersection(*plugins) if plugins else set()
