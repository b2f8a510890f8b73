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

from opensearch_multivector.evaluation.comparison.report import Sheet
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

_ROW, _MEASURE, _VERDICT, _LATENCY, _SIZE = "row", "measure", "verdict", "p50 / p95 ms", "index MB"
_HEAD = [_ROW, _MEASURE, "expected", "ours", "difference", "tolerance", _VERDICT, _LATENCY, _SIZE]
_OF_THE_ROW = (_ROW, _LATENCY, _SIZE)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.5rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
th { font-weight: 600; border-bottom: 2px solid #999 }
.measure, .number { white-space: nowrap } .number { text-align: right; font-variant-numeric: tabular-nums }
.name { overflow-wrap: anywhere } small { color: #666 }
.green { color: #1a7f37 } .off, .failed { color: #b2182b; font-weight: 600 } .not-run { color: #666 }
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
        head = "".join(f"<th{_class(name)}>{escape(name)}</th>" for name in _HEAD)
        rows = "\n".join(_html_row(_cells(outcome), outcome) for outcome in group)
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
        if rejected := header["reproduced"]["rejected"]:
            told["rejected"] = f"{rejected:,} of the documents, see the folder rejected"
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


def _html_row(lines: Sequence[Sequence[str]], outcome: Outcome) -> str:
    """A row's lines; what is of the row as a whole spans them all."""
    below = " — ".join(filter(None, (outcome.reason, outcome.row["source"])))
    rows = []
    for number, cells in enumerate(lines):
        out = []
        for head, cell in zip(_HEAD, cells, strict=True):
            content, attributes = escape(cell), _class(head, cell)
            if head in _OF_THE_ROW:
                if number:
                    continue
                attributes += f' rowspan="{len(lines)}"'
            if head == _ROW:
                content = f"<strong>{content}</strong><br><small>{escape(below)}</small>"
            out.append(f"<td{attributes}>{content}</td>")
        rows.append(f"<tr>{''.join(out)}</tr>")
    return "\n".join(rows)


def _html_details(outcome: Outcome) -> str:
    told = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in _details(outcome).items())
    return f"<details><summary>{escape(outcome.name)}: {outcome.status}</summary><dl>{told}</dl></details>"


def _class(head: str, cell: str = "") -> str:
    if head == _VERDICT:
        return f' class="{cell.replace(" ", "-")}"'
    return f' class="{"name" if head == _ROW else "measure" if head == _MEASURE else "number"}"'


def _latency(outcome: Outcome) -> str:
    total = outcome.header["results"]["latency_ms"].get("total") if outcome.header else None
    return f"{total['p50']:.0f} / {total['p95']:.0f}" if total else ""


def _megabytes(outcome: Outcome) -> str:
    size = outcome.header["index"]["store_bytes"] if outcome.header else None
    return f"{size / 1e6:.1f}" if size else ""


def _markdown(text: str) -> str:
    """Text that Markdown shows as it is; `Sheet` takes care of ``|``."""
    return re.sub(r"([\\`*_\[\]<>&#!~])", r"\\\1", text)
