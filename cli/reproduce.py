"""`osmv reproduce`: figures that papers print, measured again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster

_EXAMPLE = """
Example:  osmv reproduce here --data ../shared/data

          osmv reproduce beir msmarco --dry-run

          osmv reproduce my-matrix.yaml --row "colbert*" --out results

A matrix is a YAML file, or the name of one that the package carries (--dry-run shows their rows). A row that is
finished is not run again unless its spec, data or index changed; an interrupted one goes on. A row whose collection or
model can't be had is not run, and the report says why.

Exit codes: 0 all rows that ran are green, 1 a figure is off, 2 bad options or files, 3 the cluster, 5 a package is
missing; a row that fails gives its error's code.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("reproduce", epilog=_EXAMPLE)(with_cluster(reproduce))


def reproduce(
    cluster: Cluster,
    matrix: Annotated[
        list[str] | None, typer.Argument(metavar="[MATRIX]...", help="YAML file or carried name; default: here.")
    ] = None,
    row: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only rows of such names; give it several times.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Only rows that are said to take no longer.")] = None,
    data: Annotated[Path, typer.Option(help="Folder below which collections lie.")] = Path(),
    out: Annotated[Path, typer.Option(help="Folder for runs, results and the reports.")] = Path("reproduction"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be run.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Run finished rows once more.")] = False,
    latency_topics: Annotated[int, typer.Option(min=0, help="Topics to time, searched one at a time.")] = 100,
    json_: Annotated[bool, typer.Option("--json", help="Print what came of the rows as JSON.")] = False,
) -> None:
    """Reproduce published figures: run the rows of a matrix, compare, report."""
    from rich.console import Console

    from opensearch_multivector.cli.bars import Bars
    from opensearch_multivector.evaluation.reproduce.matrix import choose_rows, open_matrices
    from opensearch_multivector.evaluation.reproduce.outcomes import exit_code
    from opensearch_multivector.evaluation.reproduce.report import counted, everything, planned, sheets, write_report
    from opensearch_multivector.evaluation.reproduce.run import Reproduction, Watcher

    matrices = open_matrices(matrix or ["here"])
    chosen = choose_rows(matrices, row or ["*"], minutes)
    reproduction = Reproduction(cluster.connect, data, out, again=again, latency_topics=latency_topics)
    console = Console(highlight=False, width=10_000)  # figures are never cut to the terminal's width
    if dry_run:
        plans = [(each, reproduction.plan(*each)) for each in chosen]
        if json_:
            print(json.dumps([{"matrix": of.name, "row": each.name, "plan": plan} for (of, each), plan in plans]))
        else:
            console.print(planned(plans).as_rich())
        return
    outcomes = []
    for of, each in chosen:
        with Bars(each.collection) as bars:
            watcher = Watcher(bars.indexing, bars.searching, lambda text: print(f"osmv: {text}", file=sys.stderr))
            outcome = reproduction.run(of, each, watcher)
        print(f"osmv: {each.name}: {outcome.status}{outcome.reason and f': {outcome.reason}'}", file=sys.stderr)
        outcomes.append(outcome)
        # After each row, so that it is there however the process ends.
        report = write_report(out, everything(reproduction.results, matrices, outcomes))
    if json_:
        print(json.dumps([outcome.as_json() for outcome in outcomes]))
    else:
        for sheet in sheets(outcomes):
            console.print(sheet.as_rich())
        console.print(f"{counted(outcomes)}. Report: {report}", soft_wrap=True, markup=False)
    if code := exit_code(outcomes):
        sys.exit(code)
