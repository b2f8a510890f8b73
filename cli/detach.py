"""`osmv detach`: take an attached field away again."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.cli.long_work import say, stop_on_interrupt

_EXAMPLE = """
Example:  osmv detach articles --yes

Interrupted or killed, the same command goes on. Stop `osmv follow` before it, or it will stop with a message.

Exit codes: 0 detached, 1 not confirmed, 2 bad options, 3 the cluster gives up, 4 nothing of that name is attached, 130
interrupted.
"""
_STOPPED = 130


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("detach", epilog=_EXAMPLE)(with_cluster(detach))


def detach(
    index: Annotated[str, typer.Argument(help="Index that a field is attached to.")],
    cluster: Cluster,
    field: Annotated[str, typer.Option(help="The attached field.")] = "mv",
    rate: Annotated[float | None, typer.Option(min=0.01, help="Documents written per second, at most.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Remove an attached field from every document, or its sidecar, and all that is kept of it."""
    from opensearch_multivector.cli.bars import Bars
    from opensearch_multivector.errors import InputError
    from opensearch_multivector.indexing.attach.detach import detach as detach_field
    from opensearch_multivector.plugin.attachments import get_attachment

    client = cluster.connect()
    attachment = get_attachment(client, index, field)
    in_place = attachment.target == attachment.index
    what = f"{field}.* from every document of {attachment.index}" if in_place else f"the sidecar {attachment.target}"
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(f"this removes {what}: give --yes")
        if not typer.confirm(f"Remove {what}?", err=True):
            raise typer.Exit(1)
    with stop_on_interrupt() as stop, Bars(attachment.index) as bars:
        done = detach_field(client, index, field, rate=rate, progress=bars.detaching, message=say, stop=stop)
    if json_:
        print(json.dumps(done.to_dict()))
    elif in_place:
        print(f"removed {field}.* from {done.documents:,} documents of {done.index}")
    else:
        print(f"deleted the sidecar {attachment.target} of {done.documents:,} documents")
    if done.interrupted:
        say("stopped before the end; the same command goes on from there")
        raise typer.Exit(_STOPPED)
    if done.mapped:
        say(f"the mapping keeps {', '.join(done.mapped)}, as OpenSearch removes none; no document has them")
