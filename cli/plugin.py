"""`osmv plugin`: where the native plugin lies, for a cluster of one's own."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

_EXAMPLE = """
Example:  osmv plugin --json

Exit codes: 0 this package carries the native plugin, 1 it doesn't.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("plugin", epilog=_EXAMPLE)(plugin)


def plugin(as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False) -> None:
    """Say where the native plugin's zip lies, what it fits, and how a node of your own gets it; its path on stdout."""
    from opensearch_multivector.plugin.carried import carried

    found = carried()
    if found is None:
        print("osmv: this package was built without the native plugin: run make plugin in its sources", file=sys.stderr)
        raise typer.Exit(1)
    if as_json:
        facts = {"path": str(found.path), "version": found.version, "opensearch": found.opensearch}
        print(json.dumps(facts | {"install": found.install}))
        return
    minor = found.opensearch.rpartition(".")[0]
    print(f"version {found.version}, for OpenSearch {found.opensearch} and later releases of {minor}", file=sys.stderr)
    print(f"on every node, then restart it: {found.install}", file=sys.stderr)
    print(found.path)
