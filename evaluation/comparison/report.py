"""A comparison of runs for people: as tables in the terminal, and as a folder with a report, figures and plots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.comparison.compare import LEVEL, Comparison
from opensearch_multivector.evaluation.comparison.overlap import Overlap
from opensearch_multivector.evaluation.comparison.plot import difference_plot
from opensearch_multivector.evaluation.run_files import RunFile

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table that is not yet one of a terminal or a report: all but the first column are figures."""

    title: str
    head: list[str]
    rows: list[list[str]]

    def as_rich(self) -> Table:
        """For the terminal."""
        from rich.table import Table
        from rich.text import Text

        # As `Text`, in which a bracket is a bracket and no markup.
        table = Table(title=Text(self.title), title_justify="left")
        for place, name in enumerate(self.head):
            table.add_column(Text(name), justify="right" if place else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table

    def as_markdown(self) -> str:
        """For a report."""
        rule = ["---", *["---:"] * (len(self.head) - 1)]
        lines = [self.head, rule, *self.rows]
        cells = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
        return f"## {self.title}\n\n{cells}\n"


def means(comparison: Comparison, files: Sequence[RunFile]) -> Sheet:
    """Every run's measures; latency and index size where headers tell them."""
    rows = [
        [name, *(f"{value:.4f}" for value in scores.mean.values()), _latency(file), _megabytes(file)]
        for (name, scores), file in zip(comparison.scores.items(), files, strict=True)
    ]
    head = ["run", *comparison.measures, "p50 / p95 ms", "index MB"]
    kept = [place for place in range(len(head)) if any(row[place] for row in rows)]
    return Sheet(
        f"{len(comparison.topics):,} topics", [head[i] for i in kept], [[row[i] for i in kept] for row in rows]
    )


def differences(comparison: Comparison, measure: str) -> Sheet:
    """Every run against the first by one measure."""
    rows = [
        [
            each.run,
            f"{each.mean:+.4f}",
            f"{each.low:+.4f}..{each.high:+.4f}",
            f"{each.wins}/{each.ties}/{each.losses}",
            _p(each.t_test),
            _p(each.randomisation),
        ]
        for each in comparison.differences
        if each.measure == measure
    ]
    head = ["run", "difference", f"{LEVEL:.0%} interval", "win/tie/loss", "p t-test", "p random"]
    return Sheet(f"{measure} against {comparison.first}", head, rows)


def per_topic(comparison: Comparison, measure: str, run: str) -> Sheet:
    """The topics on which a run differs from the first, the largest wins and losses first."""
    rows = [
        [topic, f"{before:.4f}", f"{after:.4f}", f"{after - before:+.4f}"]
        for topic, before, after in comparison.per_topic(measure, run)
        if f"{after - before:.4f}" not in ("0.0000", "-0.0000")
    ]
    same = len(comparison.topics) - len(rows)
    title = f"{measure} by topic, {run} against {comparison.first} ({same:,} topics without difference left out)"
    return Sheet(title, ["topic", comparison.first, run, "difference"], rows)


def agreement(found: Sequence[Overlap]) -> Sheet:
    """Overlap and RBO of each pair of runs."""
    depth = found[0].depth if found else 0
    rows = [
        [f"{each.first}, {each.second}", f"{each.overlap:.4f}", f"{each.rbo:.4f}", f"{each.same_order}/{each.topics}"]
        for each in found
    ]
    head = ["runs", f"overlap@{depth}", "RBO", "topics with the same order"]
    return Sheet(f"Agreement of the {depth} best", head, rows)


def notes(comparison: Comparison, files: Sequence[RunFile], qrels_digest: str) -> list[str]:
    """Sentences on how the figures came about, and on what looks wrong."""
    k = len(comparison.scores) - 1
    sentences = []
    if k:
        how = "not corrected" if comparison.correction == "none" else f"corrected ({comparison.correction})"
        sentences.append(
            f"p-values, of the paired t-test and of Fisher's randomisation test, are two-sided and {how} over {k} "
            f"comparison{'s' * (k > 1)} a measure; {comparison.samples:,} samples, seed {comparison.seed}."
        )
        if comparison.differences[0].raw_t_test is None:
            why = "there is only one topic" if len(comparison.topics) == 1 else "SciPy is missing (pip install scipy)"
            sentences.append(f"No t-test: {why}.")
    for name, missing in comparison.missing.items():
        if missing:
            sentences.append(f"{name} lacks {missing:,} of the judged topics, which count as 0.")
    for name, unjudged in comparison.unjudged.items():
        if unjudged:
            sentences.append(f"{name} has {unjudged:,} topics without judgements, which are left out.")
    for file in files:
        if file.altered:
            sentences.append(f"{file.path} is not as it was when its header was written.")
        qrels = (file.header or {}).get("collection", {}).get("files", {}).get("qrels")
        if qrels and qrels["sha256"] != qrels_digest:
            sentences.append(f"{file.name} was evaluated with other judgements ({qrels['file']}) when it was made.")
    return sentences


def write_report(
    folder: Path, comparison: Comparison, files: Sequence[RunFile], found: Sequence[Overlap], sentences: Sequence[str]
) -> Path:
    """Write ``report.md``, ``per-topic.tsv`` and a plot for each measure and run; returns the report's path.

    Raises InputError where the folder can't be written.
    """
    sheets = [means(comparison, files), *([agreement(found)] if found else [])]
    parts = [f"# {' / '.join(comparison.scores)}\n", *(sheet.as_markdown() for sheet in sheets)]
    plots: dict[str, str] = {}
    for measure in comparison.measures if len(comparison.scores) > 1 else ():
        parts.append(differences(comparison, measure).as_markdown())
        for number, run in enumerate(list(comparison.scores)[1:], start=2):
            # The number tells apart names that differ only in what a file name can't hold.
            name = f"{_slug(measure)}.{number}.{_slug(run)}.svg"
            plots[name] = difference_plot(comparison.per_topic(measure, run), measure, comparison.first, run)
            parts.append(f"![{measure} by topic, {run} against {comparison.first}]({name})\n")
    parts.append("\n".join(["## Notes\n", *(f"- {sentence}" for sentence in sentences), *map(_origin, files)]) + "\n")
    report = folder / "report.md"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, svg in plots.items():
            (folder / name).write_text(svg, encoding="utf-8")
        (folder / "per-topic.tsv").write_text(_values(comparison), encoding="utf-8")
        report.write_text("\n".join(parts), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: can't be written ({error.strerror}).") from None
    return report


def _values(comparison: Comparison) -> str:
    """Every topic's values, one line for each topic and measure."""
    lines = ["\t".join(["topic", "measure", *comparison.scores])]
    for measure in comparison.measures:
        columns = [scores.per_topic[measure] for scores in comparison.scores.values()]
        lines += ["\t".join([topic, measure, *(f"{c[topic]:.6f}" for c in columns)]) for topic in comparison.topics]
    return "\n".join(lines) + "\n"


def _origin(file: RunFile) -> str:
    made = f", made {file.header['date']} by osmv {file.header['versions']['osmv']}" if file.header else ""
    return f"- {file.name}: `{file.path}`, SHA-256 `{file.digest}`{made}"


def _latency(file: RunFile) -> str:
    total = (file.header or {}).get("results", {}).get("latency_ms", {}).get("total")
    return f"{total['p50']:.0f}/{total['p95']:.0f}" if total else ""


def _megabytes(file: RunFile) -> str:
    size = (file.header or {}).get("index", {}).get("store_bytes")
    return f"{size / 1e6:.1f}" if size else ""


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "<.0001" if value < 0.0001 else f"{value:.4f}"


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80]
