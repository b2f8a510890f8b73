"""What a cluster's capabilities mean for the user: each with what it enables, and how to get what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from opensearch_multivector.plugin.carried import Carried, release_numbers
from opensearch_multivector.plugin.identity import NEWEST, OLDEST, SERVERLESS, Identity
from opensearch_multivector.plugin.probe import KNN, NATIVE, NEURAL_SEARCH, SECURITY, Capabilities

State: TypeAlias = Literal["ok", "missing", "unknown", "warning", "absent"]

_FEWEST_CLAUSES = 1024


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a diagnosis.

    ``state``: "ok"; "missing", and something needed can't work; "absent", and only an option is not there; "warning";
    "unknown". ``remedy``: what to do, empty where nothing is to be done.
    """

    name: str
    state: State
    found: str
    enables: str
    remedy: str = ""


def diagnose(found: Capabilities, plugin: Carried | None) -> list[Check]:
    """The checks, most important first; a cluster serves multi-vector search if none of them is "missing".

    ``plugin``: the native plugin that this package carries, which the cluster's is held against.
    """
    return [
        _release(found),
        _knn(found),
        _engines(found),
        _late_interaction(found),
        _plugin(
            found,
            NEURAL_SEARCH,
            "neural-search",
            "fusions in one request, slim by neural_sparse, seismic; each has another way without it",
            f"bin/opensearch-plugin install {NEURAL_SEARCH} on every node, in the cluster's version",
        ),
        *_native(found, plugin),
        *_security(found),
        *_limits(found),
    ]


def _release(found: Capabilities) -> Check:
    identity = Identity(found.engine, found.version)
    if found.engine == SERVERLESS:
        return Check(
            "OpenSearch",
            "warning",
            f"{SERVERLESS}, which tells no version",
            "everything",
            "never tried there, and nodes, shards and settings, which osmv asks for, are hidden: try it on one index",
        )
    if identity.release is None:
        remedy = "grant cluster:monitor/main (and cluster:monitor/nodes/info where the cluster calls itself 7.10.2)"
        return Check("OpenSearch", "unknown", "this user may not ask for the version", "everything", remedy)
    state: State = "ok" if OLDEST <= identity.release <= NEWEST else "warning"
    remedy = ""
    if identity.misfit:
        state, remedy = "missing", "upgrade the cluster to OpenSearch 2.19 or newer"
    elif state == "warning":
        remedy = f"newer than what was tested ({NEWEST[0]}.{NEWEST[1]}): expected to work, please report what does not"
    nodes = "" if found.nodes is None else f", {found.nodes} node{'s' if found.nodes != 1 else ''}"
    return Check("OpenSearch", state, f"{found.version}{nodes}", "everything", remedy)


def _plugin(found: Capabilities, name: str, title: str, enables: str, remedy: str, *, needed: bool = False) -> Check:
    lacking: State = "missing" if needed else "absent"
    if name in found.partial_plugins:
        return Check(title, lacking, "on some nodes only", enables, remedy)
    has = found.has_plugin(name)
    if has is None:
        return Check(title, "unknown", "this user may not list plugins", enables, "grant cluster:monitor/nodes/info")
    if not has:
        return Check(title, lacking, "not installed", enables, remedy)
    return Check(title, "ok", (found.plugins or {}).get(name, ""), enables)


def _knn(found: Capabilities) -> Check:
    return _plugin(
        found,
        KNN,
        "k-NN",
        "the first stage `dense`, and lateInteractionScore",
        f"bin/opensearch-plugin install {KNN} on every node, in the cluster's version",
        needed=True,
    )


def _engines(found: Capabilities) -> Check:
    if found.engines and found.engines["lucene"] is None:
        return Check(
            "k-NN engines", "unknown", "could not be asked", "knn_vector fields", "grant cluster:admin/knn_stats_action"
        )
    if found.lucene_only:
        return Check(
            "k-NN engines",
            "warning",
            "lucene; this local node has no libraries of faiss and nmslib",
            "knn_vector fields; osmv uses lucene",
            'give every knn_vector of your own "engine": "lucene": without, its first document ends the node',
        )
    works = [engine for engine, state in found.engines.items() if state]
    unsure = [engine for engine, state in found.engines.items() if state is None]
    text = ", ".join([*works, *(f"{engine} (known at first use)" for engine in unsure)]) or "none"
    if found.has_plugin(KNN) is False:
        return Check("k-NN engines", "missing", "none", "knn_vector fields", "comes with k-NN")
    return Check("k-NN engines", "ok", text, "knn_vector fields; osmv uses lucene")


def _late_interaction(found: Capabilities) -> Check:
    name, enables = "lateInteractionScore", "--rerank painless, the engine's own (slower) rerank"
    how = "listed by the script engine" if found.late_interaction_from == "asked" else "by version, could not be asked"
    if found.late_interaction is None:
        return Check(name, "unknown", "could not be asked", enables, "grant cluster:admin/scripts/painless/context")
    if found.late_interaction:
        return Check(name, "ok" if found.late_interaction_from == "asked" else "unknown", how, enables)
    return Check(
        name, "absent", "not there", enables, "OpenSearch 3.3 or newer with k-NN; --rerank client needs none of it"
    )


def _native(found: Capabilities, plugin: Carried | None) -> Iterator[Check]:
    """The native plugin: on which nodes, how old, and whether it computes as fast as the processor can."""
    name, enables = "native plugin", "the rerank `native`, MaxSim inside the cluster; without it the client reranks"
    get = f"on every node: {plugin.install}, then restart it" if plugin else "run make plugin in the project's sources"
    if plugin and found.version and not plugin.fits(found.version):
        get = f"the plugin that this package carries is for OpenSearch {plugin.opensearch}"
    installed = _plugin(found, NATIVE, name, enables, get)
    if installed.state != "ok":
        yield installed
        return
    versions = {node.version for node in found.native or ()} or {installed.found}
    text = ", ".join(sorted(versions))
    if plugin is None or versions == {plugin.version}:
        yield Check(name, "ok", text, enables)
    else:
        newer = any(release_numbers(version) > release_numbers(plugin.version) for version in versions)
        remedy = f"upgrade opensearch-multivector here: the nodes' {name} is newer" if newer else get
        yield Check(name, "warning", f"{text}; this package carries {plugin.version}", enables, remedy)
    if found.native is None:
        yield Check(
            "native kernel", "unknown", "could not be asked", "its speed", "grant cluster:monitor/multivector/stats"
        )
        return
    slow = sorted(node.node for node in found.native if node.kernel == "portable")
    if slow:
        words = f"portable on {', '.join(slow)}"
        remedy = "add --add-modules=jdk.incubator.vector to jvm.options and restart (the module is in a full JDK)"
        yield Check("native kernel", "warning", words, "its speed", remedy)
    else:
        kernels = ", ".join(sorted({node.kernel for node in found.native}))
        yield Check("native kernel", "ok", kernels, "its speed")


def _security(found: Capabilities) -> Iterator[Check]:
    enables = "users, roles and TLS"
    if found.user is None:
        if found.has_plugin(SECURITY) is False or found.security_is_off:
            lacks = "switched off" if found.security_is_off else "not installed"
            yield Check("security", "absent", f"{lacks}: whoever reaches the cluster may do everything", enables)
        else:
            yield Check("security", "unknown", "the user could not be asked for", enables)
        return
    roles = f" with {', '.join(found.roles)}" if found.roles else " without roles"
    yield Check("security", "ok", f"user {found.user}{roles}", enables)
    refused = [action for action, allowed in found.permissions.items() if allowed is False]
    if refused:
        yield Check(
            "permissions",
            "warning",
            f"may not {', '.join(refused)}",
            "osmv index writes, osmv search only searches",
            "ask for a role with what you need; where only some indices are allowed, this is no fault",
        )
    else:
        yield Check("permissions", "ok", f"may {', '.join(found.permissions)}", "osmv index and osmv search")


def _limits(found: Capabilities) -> Iterator[Check]:
    clauses = found.max_clause_count
    enables = "clauses of one query (slim, codes)"
    if clauses is None:
        yield Check("max_clause_count", "unknown", "settings can't be read", enables)
    else:
        low = clauses < _FEWEST_CLAUSES
        yield Check(
            "max_clause_count",
            "warning" if low else "ok",
            f"{clauses:,}",
            enables,
            f"raise indices.query.bool.max_clause_count to {_FEWEST_CLAUSES:,}" if low else "",
        )
    if found.max_content_length:
        yield Check("max_content_length", "ok", found.max_content_length, "size of one bulk request")
    if found.read_only:
        yield Check("read-only", "warning", "cluster.blocks.read_only is set", "writing", "lift it before osmv index")
