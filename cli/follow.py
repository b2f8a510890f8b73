"""`osmv follow`: keep an attached field as the documents' texts are."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.cli.long_work import say, stop_on_interrupt
from opensearch_multivector.cli.pace_options import ProbeFile, TargetP99, probes_of

if TYPE_CHECKING:
    from opensearch_multivector.indexing.backfill import BackfillSummary

_EXAMPLE = """
Examples:  osmv follow articles --interval 5

           osmv follow articles --by updated_at --overlap 120

Exit codes: 0 stopped by Ctrl-C, or done with --once; 1 with --once: some refused; 2 bad options; 3 the cluster gives
up; 4 the index is another than was attached, or the encoder another; 130 with --once: stopped or paused before the end.
"""
_STOPPED = 130


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("follow", epilog=_EXAMPLE)(with_cluster(follow))


def follow(
    index: Annotated[str, typer.Argument(help="Index that a field is attached to.")],
    cluster: Cluster,
    field: Annotated[str, typer.Option(help="The attached field.")] = "mv",
    once: Annotated[bool, typer.Option("--once", help="One look at what was written since the last, and out.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 5.0,
    by: Annotated[
        str | None,
        typer.Option(help="Date field that writers set at each write: go by it instead of sequence numbers."),
    ] = None,
    overlap: Annotated[
        float, typer.Option(min=0, help="With --by: seconds by which a write may be later than it says.")
    ] = 60.0,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Documents written per second, at most.")] = None,
    target_p99: TargetP99 = None,
    probe: ProbeFile = None,
    workers: Annotated[int, typer.Option(min=1, help="Threads that read and write; they share the encoder.")] = 1,
    json_: Annotated[bool, typer.Option("--json", help="Print a line of JSON after each look that wrote.")] = False,
) -> None:
    """Encode what is written to an index as it comes, and in a sidecar delete what was deleted; until Ctrl-C."""
    from opensearch_multivector.indexing.backfill import By, Filler, Pace

    client = cluster.connect()
    with stop_on_interrupt() as stop:
        pace = Pace(rate=rate, target_p99=target_p99, probes=probes_of(probe, target_p99))
        way = By(by, overlap) if by else None
        filler = Filler(client, index, field, workers=workers, pace=pace, by=way, message=say, stop=stop)
        if once:
            summary = filler.summary(filler.round())
            _show(summary, json_)
            raise typer.Exit(_STOPPED if summary.interrupted else 1 if summary.refused else 0)
        before = filler.summary(finished=True)

        def after_round(summary: BackfillSummary) -> None:
            nonlocal before
            if (summary.written, summary.orphans) != (before.written, before.orphans):
                _show(summary, json_)
            before = summary

        filler.follow(interval, after_round)


def _show(summary: BackfillSummary, as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary.to_dict()), flush=True)
    else:
        print(
            f"osmv: since the start {summary.seen:,} writes seen, {summary.written:,} encoded, "
            f"{summary.refused:,} refused, {summary.orphans:,} orphans deleted",
            file=sys.stderr,
        )
