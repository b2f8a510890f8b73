"""`osmv backfill`: fill an attached field with what its documents' texts are encoded to."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.cli.long_work import say, stop_on_interrupt
from opensearch_multivector.cli.pace_options import ProbeFile, TargetP99, probes_of

_EXAMPLE = """
Examples:  osmv backfill articles --rate 200

           osmv backfill articles --target-p99 50 --probe searches.jsonl

Run it on as many machines as you like: they share the work. Killed or interrupted, the same command goes on from there.

Exit codes: 0 all filled, 1 some refused, 2 bad options, 3 the cluster gives up, 4 the index is another than was
attached, or the encoder another, 130 interrupted or paused.
"""
_STOPPED = 130


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("backfill", epilog=_EXAMPLE)(with_cluster(backfill))


def backfill(
    index: Annotated[str, typer.Argument(help="Index that a field is attached to.")],
    cluster: Cluster,
    field: Annotated[str, typer.Option(help="The attached field.")] = "mv",
    rate: Annotated[float | None, typer.Option(min=0.01, help="Documents written per second, at most.")] = None,
    target_p99: TargetP99 = None,
    probe: ProbeFile = None,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read and write; they share the encoder.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Texts encoded together.")] = 64,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a cluster that is busy, full or out of reach.")
    ] = 300.0,
    pause: Annotated[bool, typer.Option("--pause", help="Only stop all who fill it, on every machine.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Lift the pause, and fill.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try refused documents again.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Fill an attached field for every document that lacks it, or has it of an earlier text; resumable."""
    from opensearch_multivector.cli.bars import Bars
    from opensearch_multivector.errors import InputError
    from opensearch_multivector.indexing.backfill import Filler, Pace
    from opensearch_multivector.plugin.attachments import get_attachment, update_attachment

    if pause and (resume or retry_failed):
        raise InputError("--pause only stops those at work: give it alone")
    client = cluster.connect()
    attachment = get_attachment(client, index, field)
    if pause or resume:
        attachment = update_attachment(client, attachment.index, field, paused=pause)
    if pause:
        say(f"field {field!r} of {attachment.index} is paused; `osmv backfill {index} --resume` goes on")
        return
    if attachment.paused:
        raise InputError(f"field {field!r} of {attachment.index!r} is paused: give --resume to go on")
    with stop_on_interrupt() as stop, Bars(attachment.index) as bars:
        filler = Filler(
            client,
            index,
            field,
            workers=workers,
            pace=Pace(
                batch=batch, rate=rate, patience=patience, target_p99=target_p99, probes=probes_of(probe, target_p99)
            ),
            progress=lambda counts, documents: bars.filling(counts, documents, filler.searches()),
            message=say,
            stop=stop,
        )
        if retry_failed:
            say(f"{filler.retry_failed():,} refused documents are tried again")
        summary = filler.backfill()
    if json_:
        print(json.dumps(summary.to_dict()))
    else:
        print(
            f"{summary.written:,} written, {summary.fresh:,} fresh already, {summary.refused:,} refused, "
            f"{summary.conflicts + summary.gone:,} changed or deleted by others meanwhile"
        )
    if summary.interrupted:
        say("stopped before the end; the same command goes on from there")
        raise typer.Exit(_STOPPED)
    raise typer.Exit(1 if summary.refused else 0)
