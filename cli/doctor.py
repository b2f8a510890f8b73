"""`osmv doctor`: what the cluster can do, and what is missing."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from opensearch_multivector.plugin.diagnosis import Check

_EXAMPLE = """
Example:  osmv doctor --index articles

Exit codes: 0 all that is needed is there, 1 something needed is missing, 3 no cluster answers or it refuses the user.
"""
_COLOURS = {"ok": "green", "missing": "bold red", "warning": "yellow", "unknown": "yellow", "absent": "dim"}


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("doctor", epilog=_EXAMPLE)(with_cluster(doctor))


def doctor(
    cluster: Cluster,
    index: Annotated[str | None, typer.Option(help="Look at this index's multi-vector fields, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Say what the cluster can do for multi-vector search, what is missing and how to get it. Changes nothing."""
    from opensearch_multivector.plugin.carried import carried
    from opensearch_multivector.plugin.diagnosis import diagnose
    from opensearch_multivector.plugin.probe import probe

    client = cluster.connect()
    checks = diagnose(probe(client, index), carried())
    if index is not None:
        checks += check_index(client, index)
    ready = not any(check.state == "missing" for check in checks)
    if as_json:
        print(json.dumps({"ready": ready, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        show(checks, ready)
    if not ready:
        raise typer.Exit(1)


def check_index(client: OpenSearch, index: str) -> list[Check]:
    """The index's multi-vector fields: how far they are filled, and whether their encoders load and fit."""
    from opensearch_multivector.encoding.encoders import load_encoder, load_term_encoder
    from opensearch_multivector.expressions import text
    from opensearch_multivector.plugin.diagnosis import Check
    from opensearch_multivector.plugin.fields import READY_VECTORS
    from opensearch_multivector.plugin.inspection import inspect_index

    states = inspect_index(client, index)
    if not states:
        return [
            Check(index, "missing", "no multi-vector field", "multi-vector search", "make one: osmv index DOCS --index")
        ]
    checks = []
    for state in states:
        spec, title = state.spec, f"{index}: {state.spec.field}"
        vectors = f"{state.without_vectors:,} without vectors; {spec.dim} x {spec.codec}"
        found = f"{state.documents:,} documents, {vectors if spec.vectors else 'made without vectors'}"
        remedy = "index those documents again" if state.without_vectors else ""
        enables = "the rerank" if spec.vectors else "first stages"
        checks.append(Check(title, "warning" if state.without_vectors else "ok", found, enables, remedy))
        stored = ", ".join(map(text, spec.sub_fields)) or "none"
        reduced = f"; reduced by {spec.reduce}" if spec.reduce else ""
        checks.append(Check(f"{title} sub-fields", "ok", f"{stored}{reduced}", "the first stages that search them"))
        checks += [_artifact(client, title, kind, artifact_id) for kind, artifact_id in spec.artifacts.items()]
        if spec.vectors and spec.vectors.name != READY_VECTORS:
            checks.append(_encoder(f"{title} encoder", "text queries", spec.vectors, load_encoder))
        if spec.terms and spec.terms.name != READY_VECTORS:
            checks.append(_encoder(f"{title} terms", "the first stage slim", spec.terms, load_term_encoder))
    return checks


def _artifact(client: OpenSearch, title: str, kind: str, artifact_id: str) -> Check:
    from opensearch_multivector.errors import MismatchError
    from opensearch_multivector.plugin.artifacts import ARTIFACT_INDEX, get_artifact
    from opensearch_multivector.plugin.diagnosis import Check

    name, enables = f"{title} {kind}", "reading what was stored with it"
    try:
        get_artifact(client, artifact_id)
    except MismatchError:
        remedy = f"restore {ARTIFACT_INDEX} from a snapshot, or index again"
        return Check(name, "missing", f"{artifact_id} is missing, cut or altered", enables, remedy)
    return Check(name, "ok", f"{artifact_id}, whole", enables)


def _encoder(title: str, enables: str, ref: Any, load: Any) -> Check:
    from opensearch_multivector.errors import OsmvError
    from opensearch_multivector.plugin.diagnosis import Check

    try:
        encoder = load(ref.name)
    except OsmvError as error:
        return Check(title, "missing", f"{ref.name} can't be loaded", enables, str(error))
    if encoder.fingerprint != ref.fingerprint:
        found = f"{ref.name} here is {encoder.fingerprint}, the index was made with {ref.fingerprint}"
        return Check(title, "missing", found, enables, "bring the same weights, or index again with these")
    return Check(title, "ok", f"{ref.name}, fingerprint {ref.fingerprint}", enables)


def show(checks: list[Check], ready: bool) -> None:
    """Print the checks, each with what it is for and, where something is to be done, what."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for check in checks:
        lines = [Text(check.found), Text(f"for: {check.enables}", style="dim")]
        if check.remedy:
            lines.append(Text(f"to do: {check.remedy}", style=_COLOURS[check.state]))
        table.add_row(check.name, Text(check.state, style=_COLOURS[check.state]), Text("\n").join(lines))
    console = Console(highlight=False)
    console.print(table)
    if not ready:
        console.print("[bold red]Something needed is missing.[/]")
    elif any(check.state == "unknown" for check in checks):
        console.print("[yellow]Ready, as far as this user could find out.[/]")
    else:
        console.print("[green]Ready.[/]")
