"""`osmv canary`: queries with their exact answers, by which it is seen that recall is still what it was."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from opensearch_multivector.cli.bars import Bars
from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.cli.long_work import say, stop_on_interrupt
from opensearch_multivector.errors import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opensearch_multivector.encoding.encoders.base import Encoder
    from opensearch_multivector.ops.canary import Canary, Check, Watching

canary = typer.Typer(
    help="Canaries: queries whose exact answers are known, to see whether recall is still what it was.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The canary's name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
EncoderName = Annotated[
    str | None, typer.Option(help="Encoder (name or path), where the name in the index can't be loaded here.")
]
Sample = Annotated[
    int, typer.Option(min=0, help="Of more documents than so many a sample is scored, and recall estimated; 0: never.")
]
Rate = Annotated[float | None, typer.Option(min=0.01, help="Documents read per second, at most.")]

_ADD_EXAMPLE = """
Examples:  osmv canary add daily --index articles --queries topics.tsv --first-stage dense --first-stage codes

           osmv canary add drawn --index articles --draw 100 --min-recall 0.9

Exit codes: 0 it is there, and its first check is well; 1 that check is below --min-recall; 2 bad options, or there is
one of that name; 3 the cluster refuses; 4 another encoder or no such field; 130 stopped: the same command goes on.
"""
_CHECK_EXAMPLE = """
Example:  osmv canary check daily --json

Exit codes: 0 all is well; 1 a recall or an overlap is below its floor or its baseline; 2 bad options; 3 the cluster
refuses; 4 no such canary, or its answers are of another index or encoder (osmv canary renew).
"""
_RENEW_EXAMPLE = """
Example:  osmv canary renew daily

Exit codes: 0 done, 3 the cluster refuses, 4 no such canary, 130 stopped: the same command goes on.
"""
_WATCH_EXAMPLE = """
Example:  osmv canary watch --every 5m

Exit codes: 0 stopped by Ctrl-C, 2 bad options, 4 no canary of a name that was given.
"""
_STOPPED = 130
_DEFAULT_SAMPLE = 500_000


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    canary.command("add", epilog=_ADD_EXAMPLE)(with_cluster(add))
    canary.command("check", epilog=_CHECK_EXAMPLE)(with_cluster(check))
    canary.command("list", epilog="Example:  osmv canary list --json")(with_cluster(list_))
    canary.command("renew", epilog=_RENEW_EXAMPLE)(with_cluster(renew))
    canary.command("remove", epilog="Example:  osmv canary remove daily")(with_cluster(remove))
    canary.command("watch", epilog=_WATCH_EXAMPLE)(with_cluster(watch))
    app.add_typer(canary, name="canary")


def add(
    name: Name,
    cluster: Cluster,
    index: Annotated[str, typer.Option(help="Index or alias to watch.")],
    queries: Annotated[
        str | None, typer.Option(help="Queries: a file of topics (TSV, JSON lines, TREC), or a name of ir_datasets.")
    ] = None,
    draw: Annotated[int, typer.Option(help="Without --queries: make so many of random documents.")] = 50,
    field: Annotated[str, typer.Option(help="Multi-vector field.")] = "mv",
    sidecar: Annotated[
        str | None, typer.Option(help="The sidecar attached to the index, where its name can't be read by this user.")
    ] = None,
    encoder: EncoderName = None,
    first_stage: Annotated[list[str] | None, typer.Option(help="To be checked; may be given again. [dense]")] = None,
    rerank: Annotated[list[str] | None, typer.Option(help="As above; none is one of them. [auto]")] = None,
    k: Annotated[int, typer.Option("--k", help="Hits of a page, and of the exact answer.")] = 10,
    window_size: Annotated[int, typer.Option(help="Candidates that the first stage hands to the rerank.")] = 100,
    min_recall: Annotated[float, typer.Option(help="A check below this fails.")] = 0.0,
    max_drop: Annotated[float, typer.Option(help="A check fails that is so much below the first one.")] = 0.05,
    graphs: Annotated[
        bool, typer.Option("--graphs/--no-graphs", help="Also hold k-NN stages against their exact nearest neighbours.")
    ] = True,
    sample: Sample = _DEFAULT_SAMPLE,
    rate: Rate = None,
    as_json: Json = False,
) -> None:
    """Make a canary: score every document with its queries, keep the best in the cluster, and check it once."""
    from opensearch_multivector.ops.canary import add_canary

    client = cluster.connect()
    with _watching(name, rate) as watching:
        made = add_canary(
            client,
            name,
            index,
            queries=queries,
            draw=draw,
            field=field,
            sidecar=sidecar,
            encoder=_loaded(encoder),
            sample=sample,
            watching=watching,
            k=k,
            window_size=window_size,
            first_stages=tuple(first_stage or ("dense",)),
            reranks=tuple(rerank or ("auto",)),
            min_recall=min_recall,
            max_drop=max_drop,
            graphs=graphs,
        )
    if made is None:
        raise typer.Exit(_STOPPED)
    _say_made(made)
    _check(cluster, made, as_json)


def check(
    name: Name,
    cluster: Cluster,
    first_stage: Annotated[
        list[str] | None, typer.Option(help="Instead of the canary's own; may be given again.")
    ] = None,
    rerank: Annotated[list[str] | None, typer.Option(help="Instead of the canary's own; none is one.")] = None,
    min_recall: Annotated[float | None, typer.Option(help="Instead of the canary's own.")] = None,
    max_drop: Annotated[float | None, typer.Option(help="Instead of the canary's own.")] = None,
    set_baseline: Annotated[
        bool, typer.Option("--set-baseline", help="Later checks are held against this one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search a canary's queries in each of its ways, and hold what comes against the exact answers."""
    from dataclasses import replace

    from opensearch_multivector.ops.canary import get_canary

    found = get_canary(cluster.connect(), name)
    changes = {
        "first_stages": tuple(first_stage) if first_stage else None,
        "reranks": tuple(rerank) if rerank else None,
        "min_recall": min_recall,
        "max_drop": max_drop,
    }
    given = {option: value for option, value in changes.items() if value is not None}
    # What was asked of other ways is not what the schedule is held against.
    keep = not (first_stage or rerank)
    _check(cluster, replace(found, **given), as_json, keep=keep, keep_baseline=not set_baseline)  # type: ignore[arg-type]


def list_(cluster: Cluster, as_json: Json = False) -> None:
    """List the canaries, and what was found when they were last checked."""
    from opensearch_multivector.ops.canary import get_canary, get_results, names

    client = cluster.connect()
    rows = [(get_canary(client, name), get_results(client, name)) for name in names(client)]
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "canary": found.to_state(),
                        "last": results.last.to_dict() if results.last else None,
                        "baseline": results.baseline,
                        "by_segments": results.by_segments(),
                    }
                    for found, results in rows
                ]
            )
        )
        return
    for found, results in rows:
        print(f"{found.name}: {found.queries} queries of {visible(found.source)}, index {found.index}")
        if results.last is None:
            print("  not checked yet")
        else:
            _show(results.last)
    if not rows:
        print("there is no canary: osmv canary add NAME --index INDEX makes one")


def renew(
    name: Name,
    cluster: Cluster,
    encoder: EncoderName = None,
    sample: Sample = _DEFAULT_SAMPLE,
    rate: Rate = None,
) -> None:
    """Make a canary's exact answers anew, of the documents that there are now."""
    from opensearch_multivector.ops.canary import renew_canary

    client = cluster.connect()
    with _watching(name, rate) as watching:
        made = renew_canary(client, name, encoder=_loaded(encoder), sample=sample, watching=watching)
    if made is None:
        raise typer.Exit(_STOPPED)
    _say_made(made)


def remove(name: Name, cluster: Cluster) -> None:
    """Remove a canary and all that is kept of it."""
    from opensearch_multivector.ops.canary import remove_canary

    remove_canary(cluster.connect(), name)


def watch(
    cluster: Cluster,
    names: Annotated[list[str] | None, typer.Argument(help="Canaries; all of them if none is named.")] = None,
    every: Annotated[str, typer.Option(help="Time between two checks of one: 90s, 5m, 1h.")] = "5m",
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each check.")] = False,
) -> None:
    """Check canaries on a schedule, until Ctrl-C; several who watch share the work."""
    from opensearch_multivector.ops.canary import Watch, get_canary, seconds_of

    client = cluster.connect()
    for name in names or ():
        get_canary(client, name)
    with stop_on_interrupt() as stop:
        schedule = Watch(client, seconds_of(every), tuple(names or ()))
        schedule.run(stop, lambda found: _tell(found, as_json), lambda error: say(str(error)))


@contextmanager
def _watching(name: str, rate: float | None) -> Iterator[Watching]:
    from opensearch_multivector.ops.canary import Watching

    with stop_on_interrupt() as stop, Bars(name) as bars:
        yield Watching(say, bars.scoring, stop, rate)


def _loaded(encoder: str | None) -> Encoder | None:
    from opensearch_multivector.encoding.encoders import load_encoder

    return load_encoder(encoder) if encoder else None


def _check(cluster: Cluster, found: Canary, as_json: bool, keep: bool = True, keep_baseline: bool = True) -> None:
    from opensearch_multivector.ops.canary import check_canary

    checked = check_canary(cluster.connect(), found, keep=keep, keep_baseline=keep_baseline, raises=True)
    _tell(checked, as_json)
    raise typer.Exit(1 if checked.alarms else 0)


def _say_made(made: Canary) -> None:
    scored = "all" if made.share == 1 else f"{made.share:.1%}"
    say(f"canary {made.name!r}: {made.queries} queries, scored with {scored} of {made.documents:,} documents")
    if made.unreadable:
        say(f"{made.unreadable:,} documents have vectors that can't be read, and no search finds them by these")


def _tell(found: Check, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.to_dict()), flush=True)
    else:
        print(f"{found.canary}: index {found.index}")
        _show(found)
        sys.stdout.flush()


def _show(found: Check) -> None:
    from opensearch_multivector.ops.canary.results import GRAPHS

    for each in found.outcomes:
        about = "about " if found.share < 1 and each.rerank != GRAPHS else ""
        figures = [f"recall@{each.depth(found.k, found.window_size)} {about}{each.recall:.3f}"]
        figures += [f"overlap {about}{each.overlap:.3f}"] if each.rerank != GRAPHS else []
        figures += [f"RBO {each.rbo:.3f}"] if each.rbo is not None else []
        for quarter, recall in (("oldest", each.recall_oldest), ("newest", each.recall_newest)):
            figures += [f"{quarter} quarter {recall:.3f}"] if recall is not None else []
        print(f"  {each.way:<24}{', '.join(figures)}")
    counts = {
        "written since": found.written_since,
        "deleted": found.deleted,
        "changed": found.changed,
        "lost their vectors": found.lost,
    }
    told = [f"{count:,} {what}" for what, count in counts.items() if count]
    if told:
        print(f"  since the answers were made: {', '.join(told)}")
    for alarm in found.alarms:
        print(f"  ALARM {visible(alarm)}")
