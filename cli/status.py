"""`osmv status`: how much of an index an attached field covers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.errors import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opensearch_multivector.indexing.backfill import Status

_EXAMPLE = """
Example:  osmv status articles --verify

Exit codes: 0 nothing left to do, 1 something is, 2 bad options, 3 the cluster gives up, 4 nothing of that name is
attached, or the index is another than was attached.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("status", epilog=_EXAMPLE)(with_cluster(status))


def status(
    index: Annotated[str, typer.Argument(help="Index that a field is attached to.")],
    cluster: Cluster,
    field: Annotated[str, typer.Option(help="The attached field.")] = "mv",
    verify: Annotated[
        bool, typer.Option("--verify", help="Look at every document and its text instead of counting.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Say how many documents are covered, missing, stale, orphaned and refused. Changes nothing."""
    from opensearch_multivector.indexing.backfill import status_of

    found = status_of(cluster.connect(), index, field, verify=verify)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        _show(found)
    raise typer.Exit(0 if found.complete else 1)


def _show(found: Status) -> None:
    where = f"in the sidecar {found.target}" if found.target != found.index else "in place"
    if found.mode == "new":
        where = f"to be replaced by its copy {found.target}"
    print(f"{found.index}: field {found.field!r}, {where}{', paused' if found.paused else ''}")
    numbers = {
        "documents": found.documents,
        "covered": found.covered,
        "missing": found.missing,
        "stale": "not looked for (--verify)" if found.stale is None else found.stale,
        "orphaned": found.orphaned,
        "failed": found.failed,
        "writes not yet looked at": found.pending,
    }
    for name, number in numbers.items():
        print(f"  {name:<26}{number:,}" if isinstance(number, int) else f"  {name:<26}{number}")
    for worker in found.workers:
        print(f"  {'at work':<26}{worker}{_pace(found.paces.get(worker, {}))}")
    for letter in found.letters[:5]:
        print(f"  refused: document {visible(letter.doc_id)!r}: {visible(letter.reason)}")


def _pace(pace: Mapping[str, Any]) -> str:
    words = []
    if "rate" in pace:
        words.append(f"at most {pace['rate']:g} documents/s")
    if pace.get("p99") is not None:
        words.append(f"searches take {pace['p99']:g} ms (99th percentile; wanted: {pace['target_p99']:g})")
    if "waits_for" in pace:
        words.append(f"waits: {visible(pace['waits_for'])}")
    return f": {'; '.join(words)}" if words else ""
