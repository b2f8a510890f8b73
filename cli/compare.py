"""`osmv compare`: runs beside each other, with what of their differences is not chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

_EXAMPLE = """
Example:  osmv compare runs/bm25.trec runs/dense.trec --qrels scifact/qrels/test.tsv

          osmv compare a.run b.run c.run.gz --qrels qrels.txt --measure nDCG@10 --measure AP --per-query --out report/

          osmv compare ours.trec theirs.trec --overlap 100

The first run is what the others are compared to. Runs are in TREC's or MS MARCO's format.

Exit codes: 0 done, 2 bad options or files, 5 a package is missing.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("compare", epilog=_EXAMPLE)(compare)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run files, the one to compare to first.")],
    qrels: Annotated[
        Path | None, typer.Option(help="Judgements, TREC's or BEIR's; only --overlap goes without.")
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option(help="Measure of ir-measures; default nDCG@10, R@100, RR@10.")
    ] = None,
    correction: Annotated[
        str, typer.Option(help="Of the p-values of several runs: holm, bonferroni or none.")
    ] = "holm",
    samples: Annotated[int, typer.Option(min=1, help="Samples of the randomisation test and the interval.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of these samples.")] = 7,
    per_query: Annotated[
        bool, typer.Option("--per-query", help="Every topic that differs, the largest wins and losses first.")
    ] = False,
    overlap: Annotated[
        int | None, typer.Option(metavar="K", help="Overlap and rank-biased overlap of the K best of each two runs.")
    ] = None,
    rbo_p: Annotated[float, typer.Option(help="Persistence p of rank-biased overlap.")] = 0.9,
    run_format: Annotated[str | None, typer.Option(help="trec or msmarco; default by the columns.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a Markdown report, all values and plots (SVG) there.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare runs: means, wins and losses by topic, significance, agreement."""
    from dataclasses import asdict

    from rich.console import Console

    from opensearch_multivector.errors import InputError
    from opensearch_multivector.evaluation.collection.beir import read_qrels
    from opensearch_multivector.evaluation.comparison import report
    from opensearch_multivector.evaluation.comparison.compare import compare as compare_runs
    from opensearch_multivector.evaluation.comparison.overlap import overlaps
    from opensearch_multivector.evaluation.measures import DEFAULT_MEASURES, parse_measure
    from opensearch_multivector.evaluation.provenance import sha256
    from opensearch_multivector.evaluation.run_files import read_run_files

    if qrels is None and (overlap is None or out is not None or per_query or measure):
        raise InputError("--qrels is missing: without judgements there is only --overlap K.")
    measures = measure or list(DEFAULT_MEASURES)
    if qrels is not None:
        for name in measures:
            parse_measure(name)
    files = read_run_files(runs, run_format)
    rankings = {file.name: file.rankings for file in files}
    found = overlaps(rankings, overlap, rbo_p) if overlap is not None else []
    figures: dict[str, object] = {"overlap": [asdict(each) for each in found]} if overlap is not None else {}
    sheets = [report.agreement(found)] if found else []
    sentences: list[str] = []
    if qrels is not None:
        comparison = compare_runs(
            rankings, read_qrels(qrels), measures, correction=correction, samples=samples, seed=seed
        )
        figures = comparison.as_json(per_query) | figures
        sentences = report.notes(comparison, files, sha256(qrels))
        others = list(comparison.scores)[1:]
        sheets = [
            report.means(comparison, files),
            *(report.differences(comparison, name) for name in comparison.measures if others),
            *sheets,
        ]
        if per_query:
            sheets += [report.per_topic(comparison, name, run) for name in comparison.measures for run in others]
        if out is not None:
            sentences.append(f"Report: {report.write_report(out, comparison, files, found, sentences)}")
    if json_:
        print(json.dumps(figures))
        return
    console = Console(highlight=False, width=10_000)  # figures are never cut to the terminal's width
    for sheet in sheets:
        console.print(sheet.as_rich())
    for sentence in sentences:
        console.print(sentence, soft_wrap=True, markup=False)
