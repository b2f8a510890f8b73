"""What a cluster can do for multi-vector search, found out by asking it; nothing is written or created."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch, exceptions

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.cluster_errors import cluster_errors
from opensearch_multivector.plugin.identity import OPENSEARCH, SERVERLESS, Identity, identify

KNN = "opensearch-knn"
NEURAL_SEARCH = "opensearch-neural-search"
NATIVE = "opensearch-multivector"
SECURITY = "opensearch-security"
# What a local node says of itself: the files that it is made of hold no native libraries of faiss and nmslib.
LUCENE_ONLY = "osmv_lucene_only"

# The node's name is asked for as well, because a node without plugins would else be left out of the answer.
_PLUGIN_LISTS = "nodes.*.name,nodes.*.plugins.name,nodes.*.plugins.version,nodes.*.attributes"
_NATIVE_STATS = "nodes.*.name,nodes.*.kernel,nodes.*.version"
# lateInteractionScore came with k-NN 3.3.
_LATE_INTERACTION_SINCE = (3, 3)


@dataclass(frozen=True, slots=True)
class NativeNode:
    """The native plugin on one node. ``kernel``: how it computes, "portable" where the JVM lacks the SIMD module."""

    node: str
    version: str
    kernel: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What was found. None everywhere means "can't be known", because the user may not ask or the service hides it.

    ``plugins``: name to version, of the plugins that every node has; ``partial_plugins``: those that only some have.
    ``native``: the native plugin on each node that has it; None where it is nowhere or can't be asked.
    ``engines``: k-NN engine to whether it is known to work (faiss and nmslib load their libraries at first use);
    ``lucene_only``: a local node of `osmv node`, which has no such libraries.
    ``late_interaction_from``: "asked" (the script engine lists it) or "version" (guessed).
    ``permissions``: action to whether the user may take it; empty without the security plugin.
    ``max_content_length``: bytes of a request, as the cluster writes it ("100mb").
    """

    engine: str
    version: str | None
    nodes: int | None
    plugins: dict[str, str] | None
    partial_plugins: frozenset[str]
    native: tuple[NativeNode, ...] | None
    engines: dict[str, bool | None]
    lucene_only: bool
    late_interaction: bool | None
    late_interaction_from: str
    security_is_off: bool
    user: str | None
    roles: tuple[str, ...]
    permissions: dict[str, bool | None]
    max_clause_count: int | None
    max_content_length: str | None
    read_only: bool | None

    @property
    def release(self) -> tuple[int, int] | None:
        """Major and minor version."""
        return Identity(self.engine, self.version).release

    def has_plugin(self, name: str) -> bool | None:
        """Whether every node has the plugin."""
        return None if self.plugins is None else name in self.plugins


def probe(client: OpenSearch, index: str | None = None) -> Capabilities:
    """Ask the cluster what it can do; with ``index``, whether the user may search that one.

    Raises ClusterError where the cluster can't be reached, or is no OpenSearch.
    """
    identity = identify(client)
    if identity.engine not in (OPENSEARCH, SERVERLESS):
        raise ClusterError(str(identity.misfit))
    number = identity.version
    nodes = _ask(client, "GET", "/_nodes/plugins", {"filter_path": _PLUGIN_LISTS})
    plugins, partial, count = _plugins(nodes)
    knn = None if plugins is None else KNN in plugins
    late_interaction, late_from = _late_interaction(client, number, knn)
    secured = plugins is None or SECURITY in plugins or SECURITY in partial
    account, off = _account(client) if secured else (None, False)
    settings = _settings(client)
    clauses, read_only = settings.get("indices.query.bool.max_clause_count"), settings.get("cluster.blocks.read_only")
    return Capabilities(
        engine=identity.engine,
        version=number,
        nodes=count,
        plugins=plugins,
        partial_plugins=partial,
        native=_native(client) if plugins is None or NATIVE in plugins or NATIVE in partial else None,
        engines=_engines(client) if knn is not False else {},
        lucene_only=any(LUCENE_ONLY in node.get("attributes", ()) for node in (nodes or {}).get("nodes", {}).values()),
        late_interaction=late_interaction,
        late_interaction_from=late_from,
        security_is_off=off,
        user=account.get("user_name") if account else None,
        roles=tuple(account.get("roles", ())) if account else (),
        permissions=_permissions(client, index) if account else {},
        max_clause_count=int(clauses) if clauses else None,
        max_content_length=settings.get("http.max_content_length"),
        read_only=None if read_only is None else read_only == "true",
    )


def _ask(client: OpenSearch, method: str, path: str, params: dict[str, str] | None = None) -> dict[str, Any] | None:
    """The answer, or None where it is refused; a cluster that breaks off is an error, not an answer."""
    with cluster_errors():
        try:
            answer = client.transport.perform_request(method, path, params=params)
        except exceptions.ConnectionError:
            raise
        except exceptions.TransportError:
            return None
    return answer if isinstance(answer, dict) else None


def _account(client: OpenSearch) -> tuple[dict[str, Any] | None, bool]:
    """Who the user is, as far as the security plugin says; and whether that is switched off on the node asked."""
    with cluster_errors():
        try:
            return client.transport.perform_request("GET", "/_plugins/_security/authinfo"), False
        except exceptions.ConnectionError:
            raise
        except exceptions.TransportError as error:
            return None, "no handler found" in str(error.error)


def _plugins(nodes: dict[str, Any] | None) -> tuple[dict[str, str] | None, frozenset[str], int | None]:
    """Plugins of all nodes, plugins of some, number of nodes."""
    if nodes is None:
        return None, frozenset(), None
    each = [
        {plugin["name"]: plugin["version"] for plugin in node.get("plugins", ())}
        for node in nodes.get("nodes", {}).values()
    ]
    everywhere = set.intersection(*map(set, each)) if each else set()
    somewhere = set().union(*each)
    return {name: each[0][name] for name in sorted(everywhere)}, frozenset(somewhere - everywhere), len(each)


def _native(client: OpenSearch) -> tuple[NativeNode, ...] | None:
    stats = _ask(client, "GET", "/_plugins/_multivector/stats", {"filter_path": _NATIVE_STATS})
    if stats is None:
        return None
    nodes = stats.get("nodes", {}).values()
    return tuple(NativeNode(node["name"], node["version"], node["kernel"]) for node in nodes)


def _engines(client: OpenSearch) -> dict[str, bool | None]:
    stats = _ask(client, "GET", "/_plugins/_knn/stats")
    loaded = [node for node in (stats or {}).get("nodes", {}).values() if isinstance(node, dict)]
    # "initialized" turns true with an engine's first use; before that only Lucene, which is Java, is sure to be there.
    return {"lucene": True if loaded else None} | {
        engine: True if loaded and all(node.get(f"{engine}_initialized") for node in loaded) else None
        for engine in ("faiss", "nmslib")
    }


def _late_interaction(client: OpenSearch, version: str | None, knn: bool | None) -> tuple[bool | None, str]:
    """Whether score scripts may call `lateInteractionScore`: the script engine lists the methods of a context."""
    context = _ask(client, "GET", "/_scripts/painless/_context", {"context": "score"})
    if context is not None:
        methods = {method.get("name") for method in context.get("imported_methods", ())}
        return "lateInteractionScore" in methods, "asked"
    release = Identity(OPENSEARCH, version).release
    return (None if knn is None or release is None else knn and release >= _LATE_INTERACTION_SINCE), "version"


def _settings(client: OpenSearch) -> dict[str, str]:
    answer = _ask(client, "GET", "/_cluster/settings", {"include_defaults": "true", "flat_settings": "true"}) or {}
    merged: dict[str, str] = {}
    for level in ("defaults", "persistent", "transient"):
        merged |= answer.get(level, {})
    return merged


def _permissions(client: OpenSearch, index: str | None) -> dict[str, bool | None]:
    """What the user may do, by requests that change nothing whether or not they are allowed.

    The security plugin checks the user before anything else, so 403 means "may not", and any other refusal (the index
    is not there, the setting is not valid) means "may". The index is of a name that no one has.
    """
    name = f"osmv-probe-{uuid.uuid4().hex}"
    missing_document = f'{{"delete": {{"_index": "{name}", "_id": "1"}}}}\n'
    requests: dict[str, Callable[[], Any]] = {
        "monitor the cluster": lambda: client.cluster.health(),
        "create indices": lambda: client.indices.create(index=name, body={"settings": {"number_of_shards": -1}}),
        "change mappings": lambda: client.indices.put_mapping(index=name, body={"properties": {}}),
        "write in bulk": lambda: client.bulk(body=missing_document),
        f"search {index or 'any index'}": lambda: client.search(index=index or name, body={"size": 0}),
        "delete indices": lambda: client.indices.delete(index=name),
    }
    found: dict[str, bool | None] = {}
    for action, request in requests.items():
        with cluster_errors():
            try:
                answer = request()
                found[action] = not (isinstance(answer, dict) and "security_exception" in str(answer.get("items")))
            except exceptions.AuthorizationException:
                found[action] = False
            except exceptions.ConnectionError:
                raise
            except exceptions.TransportError as error:
                found[action] = True if error.status_code in (400, 404) else None
    return found
