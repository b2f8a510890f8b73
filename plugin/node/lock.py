"""For maintainers: `python -m opensearch_multivector.plugin.node.lock 3.6.0` pins every file of a distribution.

Resolves the hand-written part of `opensearch-VERSION.json` with jgo, fetches each file once, and writes `artifacts`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from jgo.maven import MavenContext

from opensearch_multivector.plugin.node import repository
from opensearch_multivector.plugin.node.distribution import description_path


def resolve(context: MavenContext, coordinate: str) -> list[Any]:
    """`coordinate` and its transitive runtime dependencies, the root first."""
    # One root at a time: jgo takes every root's dependencyManagement for all of them, and log4j's would age Jackson.
    roots, transitive = context.resolver.resolve([context.create_dependency(coordinate)])
    return [*roots, *(dep for dep in transitive if dep.scope in (None, "compile", "runtime"))]


def entry(artifact: Any, place: str) -> dict[str, str | int]:
    """Fetch one file and describe it."""
    data = Path(artifact.resolve()).read_bytes()
    parts = [artifact.groupId, artifact.artifactId, artifact.packaging, artifact.version]
    if artifact.classifier:
        parts.append(artifact.classifier)
    return {
        "coordinate": ":".join(parts),
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "place": place,
    }


def lock(version: str) -> int:
    """Rewrite the `artifacts` of `version`'s description; returns how many there are."""
    path = description_path(version)
    raw = json.loads(path.read_text())
    recipe = raw["recipe"]
    entries: list[dict[str, str | int]] = []
    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), remote_repos={"central": repository.base_url()}, timeout=60)

        def add(place: str, coordinate: str, present: set[tuple[str, str]]) -> None:
            for dependency in resolve(context, coordinate):
                key = (dependency.groupId, dependency.artifactId)
                if key not in present:
                    present.add(key)
                    entries.append(entry(dependency.artifact, place))

        lib: set[tuple[str, str]] = set()
        for coordinate in recipe["lib"]:
            add("lib", coordinate, lib)
        agent: set[tuple[str, str]] = set()
        for coordinate in recipe["agent"]:
            add("agent", coordinate, agent)
        # A jar that a module and lib/ both had would be "jar hell" to OpenSearch, and so would one that a module
        # shares with the modules it extends.
        jars: dict[str, set[tuple[str, str]]] = {}
        for name, module in raw["modules"].items():
            present = set(lib).union(*(jars[extended] for extended in module.get("extended", ())))
            add(f"modules/{name}", module["coordinate"], present)
            jars[name] = present
        for name, coordinate in recipe["plugins"].items():
            group, artifact, extension, plugin_version = coordinate.split(":")
            component = context.project(group, artifact).at_version(plugin_version)
            entries.append(entry(component.artifact(packaging=extension), f"plugins/{name}"))
    raw["artifacts"] = entries
    path.write_text(json.dumps(raw, indent=2) + "\n")
    return len(entries)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(argument, lock(argument), "files")
