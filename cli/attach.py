"""`osmv attach`: multi-vector search for an index that is in use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.cli.long_work import say, stop_on_interrupt
from opensearch_multivector.cli.pace_options import ProbeFile, TargetP99, probes_of

if TYPE_CHECKING:
    from opensearch_multivector.plugin.attachments import Attachment

_EXAMPLE = """
Examples:  osmv attach articles --text title --text body --dry-run

           osmv attach articles --text title --text body --mode sidecar --filter-field lang

           osmv attach articles-alias --text title --text body --mode new

           osmv follow articles

Without --mode nothing is done but to say what each mode would do, and which is advised. The same command again goes on
where one was interrupted. `osmv detach` undoes it.

Exit codes: 0 attached and filled, or only planned, 1 some documents refused, 2 bad options, 3 the cluster gives up, 4
something stands in the way, 130 interrupted.
"""
_STOPPED = 130


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("attach", epilog=_EXAMPLE)(with_cluster(attach))


def attach(
    index: Annotated[str, typer.Argument(help="Index to attach to, or an alias of one.")],
    cluster: Cluster,
    text: Annotated[
        list[str] | None,
        typer.Option(
            help="Field of the text that is encoded, with dots within objects; several are joined by a blank."
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            help="in-place: into the documents; sidecar: into an index beside theirs; new: into a copy of the index, "
            "which then takes over its aliases."
        ),
    ] = None,
    field: Annotated[str, typer.Option(help="Name of the multi-vector field.")] = "mv",
    encoder: Annotated[str | None, typer.Option(help="Token-vector encoder (name or path); none: terms alone.")] = None,
    terms: Annotated[str | None, typer.Option(help="SLIM term encoder (name or path), or none.")] = None,
    codec: Annotated[str | None, typer.Option(help="How vectors are stored: int8 (default) or another.")] = None,
    sub_field: Annotated[
        list[str] | None,
        typer.Option(
            help="What to store beside the token vectors, NAME or NAME:KEY=VALUE,...; once for each. Default: dense "
            "(codes in place, where index.knn is off), and slim where there is a term encoder."
        ),
    ] = None,
    reduce: Annotated[str | None, typer.Option(help="Fewer vectors or dimensions, e.g. pool:factor=2.")] = None,
    filter_field: Annotated[
        list[str] | None, typer.Option(help="Field that a sidecar can be filtered by; once for each.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Name of the new index (mode new). Default: INDEX-mv.")] = None,
    block_writes: Annotated[
        bool,
        typer.Option(
            "--block-writes",
            help="With mode new: refuse writes for the seconds of the swap, so that none reaches both.",
        ),
    ] = False,
    target_p99: TargetP99 = None,
    probe: ProbeFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, for each mode.")] = False,
    no_backfill: Annotated[bool, typer.Option("--no-backfill", help="Leave filling it to `osmv backfill`.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Plan, or add, a multi-vector field for an index in use, without reindexing it."""
    from opensearch_multivector.cli.attach_plan import show_plan, show_replaced
    from opensearch_multivector.cli.bars import Bars
    from opensearch_multivector.errors import InputError
    from opensearch_multivector.indexing.attach.apply import attach as attach_field
    from opensearch_multivector.indexing.attach.apply import attached_spec
    from opensearch_multivector.indexing.attach.host import read_host
    from opensearch_multivector.indexing.attach.plan import MODES, plan
    from opensearch_multivector.indexing.attach.swap import is_copied, replace_index
    from opensearch_multivector.indexing.attach.wanted import wanted
    from opensearch_multivector.indexing.backfill import Filler, Pace
    from opensearch_multivector.indexing.training import Stopped
    from opensearch_multivector.plugin.attachments import NEW, get_attachment

    chosen = next((each for each in MODES if each == mode), None)
    if mode is not None and chosen is None:
        raise InputError(f"--mode is {' or '.join(MODES)}, not {mode!r}")
    if (target or block_writes) and chosen not in (None, NEW):
        raise InputError("--target and --block-writes are for --mode new")
    client = cluster.connect()
    host = read_host(client, index)
    wish = wanted(
        attached_spec(client, host, field),
        text or (),
        field=field,
        encoder=encoder,
        terms=terms,
        codec=codec,
        sub_fields=sub_field,
        reduce=reduce,
        filter_fields=filter_field or (),
        message=say,
    )
    if chosen is None or dry_run:
        made = plan(client, host, wish, target=target or "")
        if json_:
            print(json.dumps(made.to_dict(), indent=2))
        else:
            show_plan(made)
            if not dry_run:
                say("nothing was done: give --mode to attach the field")
        return
    with stop_on_interrupt() as stop, Bars(host.index) as bars:
        try:
            attachment = attach_field(client, index, wish, chosen, target_name=target or "", message=say, stop=stop)
        except Stopped:
            raise typer.Exit(_STOPPED) from None
        say(f"field {field!r} is attached to {host.index}, {_where(attachment)}")

        def filler(name: str, phase: str = "") -> Filler:
            filling = Filler(
                client,
                name,
                field,
                encoder=wish.encoder,
                term_encoder=wish.term_encoder,
                phase=phase,
                pace=Pace(target_p99=target_p99, probes=probes_of(probe, target_p99)),
                progress=lambda counts, documents: bars.filling(counts, documents, filling.searches()),
                message=say,
                stop=stop,
            )
            return filling

        summary = replaced = None
        if not no_backfill and is_copied(attachment):
            replaced = replace_index(client, index, field, filler, block_writes=block_writes, message=say, stop=stop)
            if not replaced.interrupted:
                attachment = get_attachment(client, replaced.target, field)
        if not no_backfill and not (replaced and replaced.interrupted):
            summary = filler(attachment.index).backfill()
    if json_:
        done = {
            "replaced": replaced.to_dict() if replaced else None,
            "backfill": summary.to_dict() if summary else None,
        }
        print(json.dumps({"attachment": attachment.to_state(), **done}))
    elif summary:
        print(f"{summary.written:,} written, {summary.fresh:,} fresh already, {summary.refused:,} refused")
    if replaced and replaced.interrupted:
        say("stopped before the new index has taken over; the same command goes on from there")
        raise typer.Exit(_STOPPED)
    if replaced:
        show_replaced(replaced)
    if summary is None:
        goes_on = f"`osmv backfill {host.index}` fills it"
        say(f"{goes_on}, {_then(attachment, index)}")
        return
    if summary.interrupted:
        say(f"stopped before the end; `osmv backfill {host.index}` goes on from there")
        raise typer.Exit(_STOPPED)
    say(f"`osmv follow {index if replaced else host.index}` keeps it filled")
    raise typer.Exit(1 if summary.refused or (replaced and (replaced.both_sides or replaced.refused)) else 0)


def _where(attachment: Attachment) -> str:
    if not attachment.is_beside:
        return "in place"
    return f"in the {'copy' if attachment.mode == 'new' else 'sidecar'} {attachment.target}"


def _then(attachment: Attachment, index: str) -> str:
    if attachment.mode == "new":
        return f"the same command without --no-backfill lets it take over from {attachment.index}"
    return f"`osmv follow {index}` keeps it filled"
