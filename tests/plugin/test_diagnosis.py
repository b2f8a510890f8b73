from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from opensearch_multivector.plugin.carried import Carried
from opensearch_multivector.plugin.diagnosis import Check, diagnose
from opensearch_multivector.plugin.probe import KNN, NATIVE, NEURAL_SEARCH, SECURITY, Capabilities, NativeNode

CARRIED = Carried(Path("/somewhere/native.zip"), "0.2.0", "3.6.0")

WHOLE = Capabilities(
    engine="OpenSearch",
    version="3.6.0",
    nodes=3,
    plugins={KNN: "3.6.0.0", NEURAL_SEARCH: "3.6.0.0", SECURITY: "3.6.0.0"},
    partial_plugins=frozenset(),
    native=None,
    engines={"lucene": True, "faiss": None, "nmslib": None},
    lucene_only=False,
    late_interaction=True,
    late_interaction_from="asked",
    security_is_off=False,
    user="anna",
    roles=("search",),
    permissions={"search": True, "write in bulk": True},
    max_clause_count=1024,
    max_content_length="100mb",
    read_only=False,
)


def check(found: Capabilities, name: str) -> Check:
    (one,) = [check for check in diagnose(found, CARRIED) if check.name == name]
    return one


def without(name: str) -> dict[str, str]:
    return {plugin: version for plugin, version in (WHOLE.plugins or {}).items() if plugin != name}


def test_a_whole_cluster_lacks_nothing_needed() -> None:
    states = {check.name: check.state for check in diagnose(WHOLE, CARRIED)}
    assert states.pop("native plugin") == "absent"
    assert set(states.values()) == {"ok"}


@pytest.mark.parametrize(
    ("version", "state"),
    [("2.18.0", "missing"), ("2.19.1", "ok"), ("3.6.0", "ok"), ("3.7.0", "warning"), ("4.0.0", "warning")],
)
def test_releases(version: str, state: str) -> None:
    assert check(replace(WHOLE, version=version), "OpenSearch").state == state


def test_k_nn_is_needed_on_every_node() -> None:
    nowhere = replace(WHOLE, plugins=without(KNN), engines={}, late_interaction=False)
    assert check(nowhere, "k-NN").state == "missing"
    assert "install opensearch-knn" in check(nowhere, "k-NN").remedy
    somewhere = replace(nowhere, partial_plugins=frozenset({KNN}))
    assert check(somewhere, "k-NN").state == "missing"
    assert "some nodes" in check(somewhere, "k-NN").found


def test_a_local_node_says_which_engine_would_end_it() -> None:
    engines = check(replace(WHOLE, lucene_only=True), "k-NN engines")
    assert engines.state == "warning"
    assert '"engine": "lucene"' in engines.remedy


def test_neural_search_is_an_option() -> None:
    assert check(replace(WHOLE, plugins=without(NEURAL_SEARCH)), "neural-search").state == "absent"


def test_what_the_user_may_not_ask_is_unknown_and_not_missing() -> None:
    blind = replace(
        WHOLE, version=None, plugins=None, engines={}, late_interaction=None, user=None, permissions={}, nodes=None
    )
    states = {check.name: check.state for check in diagnose(replace(blind, max_clause_count=None), CARRIED)}
    assert "missing" not in states.values()
    for name in ("OpenSearch", "k-NN", "lateInteractionScore", "security", "max_clause_count"):
        assert states[name] == "unknown"


def test_late_interaction_guessed_by_version_is_not_called_known() -> None:
    assert check(replace(WHOLE, late_interaction_from="version"), "lateInteractionScore").state == "unknown"
    assert check(replace(WHOLE, late_interaction=False), "lateInteractionScore").state == "absent"


def test_permissions_low_limits_and_read_only() -> None:
    reader = replace(WHOLE, permissions={"search": True, "write in bulk": False})
    assert check(reader, "permissions").found == "may not write in bulk"
    assert check(replace(WHOLE, max_clause_count=512), "max_clause_count").state == "warning"
    assert check(replace(WHOLE, read_only=True), "read-only").state == "warning"


def with_native(*nodes: tuple[str, str]) -> Capabilities:
    """The whole cluster with the native plugin on every node, of these versions and kernels."""
    native = tuple(NativeNode(f"n{i}", version, kernel) for i, (version, kernel) in enumerate(nodes))
    return replace(WHOLE, plugins={**(WHOLE.plugins or {}), NATIVE: nodes[0][0]}, native=native)


def test_the_native_plugin_on_no_node_or_some_says_how_to_install_it() -> None:
    somewhere = replace(WHOLE, partial_plugins=frozenset({NATIVE}))
    for found, said in ((WHOLE, "not installed"), (somewhere, "on some nodes only")):
        native = check(found, "native plugin")
        assert (native.state, native.found) == ("absent", said)
        assert "bin/opensearch-plugin install file:///somewhere/native.zip" in native.remedy
    too_new = check(replace(WHOLE, version="3.7.0"), "native plugin")
    assert "for OpenSearch 3.6.0" in too_new.remedy
    assert "make plugin" in next(c for c in diagnose(WHOLE, None) if c.name == "native plugin").remedy


@pytest.mark.parametrize(
    ("versions", "state", "remedy"),
    [
        (["0.2.0", "0.2.0"], "ok", ""),
        (["0.2.0", "0.1.9"], "warning", "opensearch-plugin install"),
        (["0.10.0", "0.10.0"], "warning", "upgrade opensearch-multivector here"),
    ],
)
def test_the_native_plugin_is_held_against_the_one_that_is_carried(
    versions: list[str], state: str, remedy: str
) -> None:
    native = check(with_native(*((version, "vector-512") for version in versions)), "native plugin")
    assert native.state == state
    assert remedy in native.remedy
    assert versions[0] in native.found


def test_a_node_without_the_simd_module_is_named() -> None:
    assert check(with_native(("0.2.0", "vector-512")), "native kernel").found == "vector-512"
    slow = check(with_native(("0.2.0", "vector-512"), ("0.2.0", "portable")), "native kernel")
    assert (slow.state, slow.found) == ("warning", "portable on n1")
    assert "--add-modules=jdk.incubator.vector" in slow.remedy
    assert check(replace(with_native(("0.2.0", "")), native=None), "native kernel").state == "unknown"
