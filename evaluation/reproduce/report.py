"""What came of rows, for people: ``report.md`` and ``report.html``, which needs no other file and asks no server."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from opensearch_multivector.evaluation.comparison_report import Sheet
from opensearch_multivector.evaluation.reproduce.chart import chart
from opensearch_multivector.evaluation.reproduce.matrix import IndexChoice, Matrix, Row, SearchChoice
from opensearch_multivector.evaluation.reproduce.outcomes import (
    FAILED,
    GREEN,
    NOT_RUN,
    OFF,
    Outcome,
    Results,
    write_whole,
)

_VERDICT = "verdict"
_HEAD = ["row", "measure", "expected", "ours", "difference", "tolerance", _VERDICT, "p50 / p95 ms", "index MB"]
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.5rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
th { font-weight: 600; border-bottom: 2px solid #999 }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.name { font-weight: 600; overflow-wrap: anywhere }
.green { color: #2166ac } .off, .failed { color: #b2182b; font-weight: 600 } .not-run { color: #666 }
svg { max-width: 100%; height: auto; margin: 1rem 0 }
details { margin: .2rem 0 } summary { cursor: pointer } dl { margin: .5rem 1rem }
dt { font-weight: 600 } dd { margin: 0 0 .3rem 1rem; overflow-wrap: anywhere }
code { font-size: .9em }
"""


def everything(results: Results, matrices: Sequence[Matrix], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """These outcomes, and all that was ever finished beside them, in the order of the matrices' rows."""
    places = {(matrix.name, row.name): place for matrix in matrices for place, row in enumerate(matrix.rows)}
    found = {(each.matrix, each.name): each for each in (*(stored.outcome for stored in results.all()), *outcomes)}
    return [found[key] for key in sorted(found, key=lambda key: (key[0], places.get(key, len(places)), key[1]))]


def sheets(outcomes: Sequence[Outcome]) -> list[Sheet]:
    """A table for each matrix."""
    return [
        Sheet(title, _HEAD, [cells for outcome in group for cells in _cells(outcome)])
        for title, group in _by_matrix(outcomes)
    ]


def planned(plans: Sequence[tuple[tuple[Matrix, Row], str]]) -> Sheet:
    """What would be run, as `Reproduction.plan` has it."""
    rows = [
        [
            f"{matrix.name}/{row.name}",
            row.collection,
            row.search.configuration.name,
            " ".join(f"{name} {value:g}" for name, value in row.expected.items()),
            "" if row.minutes is None else f"{row.minutes:g}",
            plan,
        ]
        for (matrix, row), plan in plans
    ]
    return Sheet("Rows", ["row", "collection", "search", "expected", "minutes", "plan"], rows)


def counted(outcomes: Sequence[Outcome]) -> str:
    """How many rows are of which status: ``5 green, 1 off``."""
    counts = Counter(outcome.status for outcome in outcomes)
    return ", ".join(f"{counts[status]:,} {status}" for status in (GREEN, OFF, FAILED, NOT_RUN) if counts[status])


def write_report(out: Path, outcomes: Sequence[Outcome]) -> Path:
    """Write both reports and a chart for each matrix; returns the path of the Markdown one.

    Raises InputError where they can't be written.
    """
    for name, title, figures in _charts(outcomes):
        write_whole(out / name, chart(title, figures))
    write_whole(out / "report.html", as_html(outcomes))
    write_whole(out / "report.md", as_markdown(outcomes))
    return out / "report.md"


def as_markdown(outcomes: Sequence[Outcome]) -> str:
    """The report; its charts are files beside it."""
    drawn = {title: name for name, title, _ in _charts(outcomes)}
    parts = [f"# Reproduction\n\n{counted(outcomes)}.\n"]
    for title, group in _by_matrix(outcomes):
        rows = [[_markdown(cell) for cell in cells] for outcome in group for cells in _cells(outcome)]
        parts.append(Sheet(_markdown(title), _HEAD, rows).as_markdown())
        if title in drawn:
            parts.append(f"![ours against expected]({drawn[title]})\n")
        for outcome in group:
            told = "".join(f"\n  - {_markdown(key)}: {_markdown(value)}" for key, value in _details(outcome).items())
            parts.append(f"- **{_markdown(outcome.name)}**{told}")
        parts.append("")
    return "\n".join(parts) + "\n"


def as_html(outcomes: Sequence[Outcome]) -> str:
    """The report in one file, charts included, without scripts."""
    charts = {title: chart(title, figures) for _, title, figures in _charts(outcomes)}
    body = [f"<h1>Reproduction</h1>\n<p>{escape(counted(outcomes))}.</p>"]
    for title, group in _by_matrix(outcomes):
        head = "".join(f"<th{_numeric(place)}>{escape(name)}</th>" for place, name in enumerate(_HEAD))
        rows = "\n".join(_html_row(cells, outcome) for outcome in group for cells in _cells(outcome))
        body.append(f"<h2>{escape(title)}</h2>\n{charts.get(title, '')}")
        body.append(f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>")
        body += [_html_details(outcome) for outcome in group]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>Reproduction</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _by_matrix(outcomes: Sequence[Outcome]) -> list[tuple[str, list[Outcome]]]:
    """Outcomes by their matrix's title, with its name where another has the same."""
    groups = [(name, list(group)) for name, group in groupby(outcomes, key=lambda outcome: outcome.matrix)]
    return [(f"{group[-1].title} ({name})", group) for name, group in groups]


def _charts(outcomes: Sequence[Outcome]) -> list[tuple[str, str, list[Any]]]:
    """(file, title, figures by row) of each matrix that has figures."""
    found = []
    for title, group in _by_matrix(outcomes):
        figures = [(outcome.name, figure) for outcome in group for figure in outcome.figures]
        if figures:
            found.append((re.sub(r"[^A-Za-z0-9_-]+", "-", group[0].matrix) + ".svg", title, figures))
    return found


def _cells(outcome: Outcome) -> list[list[str]]:
    """A table's lines for a row, one for each figure; what is of the row as a whole stands in the first."""
    if not outcome.figures:
        expected = [(name, f"{value:.4f}") for name, value in outcome.row["expected"].items()]
        return [
            [
                outcome.name if not place else "",
                name,
                value,
                "",
                "",
                f"{outcome.row['tolerance']:g}",
                outcome.status,
                "",
                "",
            ]
            for place, (name, value) in enumerate(expected)
        ]
    return [
        [
            "" if place else outcome.name,
            figure.measure,
            f"{figure.expected:.4f}",
            f"{figure.ours:.4f}",
            figure.shown,
            f"{figure.tolerance:g}",
            GREEN if figure.within else OFF,
            "" if place else _latency(outcome),
            "" if place else _megabytes(outcome),
        ]
        for place, figure in enumerate(outcome.figures)
    ]


def _details(outcome: Outcome) -> dict[str, str]:
    """What else there is to know of a row, by what it is called."""
    row, header = outcome.row, outcome.header
    told = {"source": row["source"], "note": row["note"], outcome.status: outcome.reason}
    told |= {"index": _given(row["index"], IndexChoice), "search": _given(row["search"], SearchChoice)}
    if header is not None:
        engine, index = header["engine"], header["index"]
        versions = " ".join(f"{name} {version}" for name, version in header["versions"].items())
        plugins = ", ".join(engine["plugins"] or ["not told"])
        told |= {
            "measured": f"{header['date']}, {outcome.seconds:.0f} s with indexing where that was to be done",
            "collection": f"{header['collection']['name']}: {header['collection']['topics']:,} topics, "
            f"{index['documents'] or 0:,} documents",
            "versions": f"{versions}; OpenSearch {engine['opensearch']}, {engine['nodes']} node(s); {plugins}",
            "run": f"{outcome.run}, SHA-256 {header['run']['sha256']}",
        }
        if skipped := header["results"]["skipped"]:
            told["skipped"] = f"{skipped:,} candidates had no vectors that could be read"
    return {name: " ".join(value.split()) for name, value in told.items() if value}


def _given(choices: Mapping[str, Any], kind: type[IndexChoice | SearchChoice]) -> str:
    """What differs from the defaults, as ``key value``."""
    defaults = {each.name: each.default for each in fields(kind)}
    given = {
        key: value
        for key, value in choices.items()
        if (tuple(value) if isinstance(value, list) else value) != defaults[key]
    }
    return ", ".join(f"{key} {' '.join(value) if isinstance(value, list) else value}" for key, value in given.items())


def _html_row(cells: Sequence[str], outcome: Outcome) -> str:
    row_class = f' class="name {outcome.status.replace(" ", "-")}"'
    out = []
    for place, cell in enumerate(cells):
        kind = row_class if place == 0 else _numeric(place)
        if _HEAD[place] == _VERDICT:
            kind = f' class="{cell.replace(" ", "-")}"'
        out.append(f"<td{kind}>{escape(cell)}</td>")
    return f"<tr>{''.join(out)}</tr>"


def _html_details(outcome: Outcome) -> str:
    told = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in _details(outcome).items())
    return f"<details><summary>{escape(outcome.name)}: {outcome.status}</summary><dl>{told}</dl></details>"


def _numeric(place: int) -> str:
    return "" if place in (0, 1, _HEAD.index(_VERDICT)) else ' class="number"'


def _latency(outcome: Outcome) -> str:
    total = outcome.header["results"]["latency_ms"].get("total") if outcome.header else None
    return f"{total['p50']:.0f} / {total['p95']:.0f}" if total else ""


def _megabytes(outcome: Outcome) -> str:
    size = outcome.header["index"]["store_bytes"] if outcome.header else None
    return f"{size / 1e6:.1f}" if size else ""


def _markdown(text: str) -> str:
    """Text that Markdown shows as it is; `Sheet` takes care of ``|``."""
    return re.sub(r"([\\`*_\[\]<>&#!~])", r"\\\1", text)
