"""`osmv attach`: multi-vector search for an index that is in use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.cli.long_work import say, stop_on_interrupt

if TYPE_CHECKING:
    from opensearch_multivector.indexing.attach.plan import ModePlan, Plan

_EXAMPLE = """
Examples:  osmv attach articles --text title --text body --dry-run

           osmv attach articles --text title --text body --mode sidecar --filter-field lang

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
        str | None, typer.Option(help="in-place: into the documents; sidecar: into an index beside theirs.")
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, for each mode.")] = False,
    no_backfill: Annotated[bool, typer.Option("--no-backfill", help="Leave filling it to `osmv backfill`.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Plan, or add, a multi-vector field for an index in use, without reindexing it."""
    from opensearch_multivector.cli.bars import Bars
    from opensearch_multivector.errors import InputError
    from opensearch_multivector.indexing.attach.apply import attach as attach_field
    from opensearch_multivector.indexing.attach.apply import attached_spec
    from opensearch_multivector.indexing.attach.host import read_host
    from opensearch_multivector.indexing.attach.plan import MODES, plan
    from opensearch_multivector.indexing.attach.wanted import wanted
    from opensearch_multivector.indexing.backfill import Filler
    from opensearch_multivector.indexing.training import Stopped

    chosen = next((each for each in MODES if each == mode), None)
    if mode is not None and chosen is None:
        raise InputError(f"--mode is {' or '.join(MODES)}, not {mode!r}")
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
        made = plan(client, host, wish)
        if json_:
            print(json.dumps(made.to_dict(), indent=2))
        else:
            _show(made)
            if not dry_run:
                say("nothing was done: give --mode to attach the field")
        return
    with stop_on_interrupt() as stop, Bars(host.index) as bars:
        try:
            attachment = attach_field(client, host.index, wish, chosen, message=say, stop=stop)
        except Stopped:
            raise typer.Exit(_STOPPED) from None
        say(f"field {field!r} is attached to {host.index}, {_where(attachment.target, host.index)}")
        summary = None
        if not no_backfill:
            filler = Filler(
                client,
                host.index,
                field,
                encoder=wish.encoder,
                term_encoder=wish.term_encoder,
                progress=bars.filling,
                stop=stop,
            )
            summary = filler.backfill()
    if json_:
        filled = summary.to_dict() if summary else None
        print(json.dumps({"attachment": attachment.to_state(), "backfill": filled}))
    elif summary:
        print(f"{summary.written:,} written, {summary.fresh:,} fresh already, {summary.refused:,} refused")
    if summary is None:
        say(f"`osmv backfill {host.index}` fills it, `osmv follow {host.index}` keeps it filled")
        return
    if summary.interrupted:
        say(f"stopped before the end; `osmv backfill {host.index}` goes on from there")
        raise typer.Exit(_STOPPED)
    say(f"`osmv follow {host.index}` keeps it filled")
    raise typer.Exit(1 if summary.refused else 0)


def _where(target: str, index: str) -> str:
    return "in place" if target == index else f"in the sidecar {target}"


def _show(made: Plan) -> None:
    print(
        f"{made.index}: {made.documents:,} documents, of about {made.document_bytes:,} bytes each; {made.with_text} of "
        f"{made.sampled} sampled ones have text, {made.truncated:.0%} of these is longer than the encoder takes"
    )
    for each in made.modes:
        print(f"\n{each.mode}: {made.field}.* into {each.target}")
        if each.why_not:
            print("".join(f"  not possible: {sentence}\n" for sentence in each.why_not), end="")
            continue
        _show_mode(made.field, each)
    print(f"\nadvised: {made.recommended or 'none'} ({made.because})")


def _show_mode(field: str, each: ModePlan) -> None:
    for name, mapping in each.properties.items():
        print(f"  maps      {field}.{name}: {mapping['type']}")
    print(f"  fills     {each.documents:,} documents, about {each.seconds:,.0f} s of encoding on this machine")
    print(f"  sends     {each.sent_bytes / 1e6:,.1f} MB in {each.requests:,} requests at least")
    print(f"  takes     about {each.disk_bytes / 1e6:,.1f} MB of disk, and as much for each replica")
    for notice in each.notices:
        print(f"  note      {notice}")
