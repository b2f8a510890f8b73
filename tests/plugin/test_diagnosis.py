from __future__ import annotations

from dataclasses import replace

import pytest

from opensearch_multivector.plugin.diagnosis import Check, diagnose
from opensearch_multivector.plugin.probe import KNN, NEURAL_SEARCH, SECURITY, Capabilities

WHOLE = Capabilities(
    version="3.6.0",
    distribution="opensearch",
    nodes=3,
    plugins={KNN: "3.6.0.0", NEURAL_SEARCH: "3.6.0.0", SECURITY: "3.6.0.0"},
    partial_plugins=frozenset(),
    engines={"lucene": True, "faiss": None, "nmslib": None},
    late_interaction=True,
    late_interaction_from="asked",
    user="anna",
    roles=("search",),
    permissions={"search": True, "write in bulk": True},
    max_clause_count=1024,
    max_content_length="100mb",
    read_only=False,
)


def check(found: Capabilities, name: str) -> Check:
    (one,) = [check for check in diagnose(found) if check.name == name]
    return one


def without(name: str) -> dict[str, str]:
    return {plugin: version for plugin, version in (WHOLE.plugins or {}).items() if plugin != name}


def test_a_whole_cluster_lacks_nothing_needed() -> None:
    states = {check.name: check.state for check in diagnose(WHOLE)}
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


def test_neural_search_is_an_option() -> None:
    assert check(replace(WHOLE, plugins=without(NEURAL_SEARCH)), "neural-search").state == "absent"


def test_what_the_user_may_not_ask_is_unknown_and_not_missing() -> None:
    blind = replace(
        WHOLE, version=None, plugins=None, engines={}, late_interaction=None, user=None, permissions={}, nodes=None
    )
    states = {check.name: check.state for check in diagnose(replace(blind, max_clause_count=None))}
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
