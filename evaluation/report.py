"""An evaluation as tables for people."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from opensearch_multivector.evaluation.evaluate import Evaluation, Latency

_TOTAL = "total"


def measures_table(evaluation: Evaluation, names: Mapping[str, str] | None = None) -> Table:
    """Measures and the whole latency of each configuration; the best value of a measure in bold.

    ``names``: what to call a configuration instead of its own name.
    """
    collection, outcomes = evaluation.collection, evaluation.outcomes
    measures = list(outcomes[0].scores.mean)
    best = {measure: max(outcome.scores.mean[measure] for outcome in outcomes) for measure in measures}
    result = Table(title=f"{collection.name}: {len(collection.topics):,} topics", title_justify="left")
    result.add_column("configuration", no_wrap=True)
    for measure in measures:
        result.add_column(measure, justify="right", no_wrap=True)
    if evaluation.latency_topics:
        result.add_column("p50 / p95 ms", justify="right", no_wrap=True)
    for outcome in outcomes:
        values = [
            f"[bold]{mean:.3f}[/bold]" if mean == best[measure] else f"{mean:.3f}"
            for measure, mean in outcome.scores.mean.items()
        ]
        times = [_cell(outcome.latency.get(_TOTAL))] if evaluation.latency_topics else []
        result.add_row((names or {}).get(outcome.configuration, outcome.configuration), *values, *times)
    return result


def stages_table(evaluation: Evaluation) -> Table:
    """Latency of each stage of each configuration."""
    stages = list(dict.fromkeys(stage for outcome in evaluation.outcomes for stage in outcome.latency))
    result = Table(title="milliseconds by stage, p50 / p95", title_justify="left")
    result.add_column("configuration", no_wrap=True)
    for stage in sorted(stages, key=_TOTAL.__eq__):
        result.add_column(stage.replace("_", " "), justify="right")
    for outcome in evaluation.outcomes:
        cells = [_cell(outcome.latency.get(stage)) for stage in sorted(stages, key=_TOTAL.__eq__)]
        result.add_row(outcome.configuration, *cells)
    return result


def notes(evaluation: Evaluation) -> list[str]:
    """Sentences on how the figures came about, and on what was left out."""
    collection = evaluation.collection
    sentences = []
    if evaluation.latency_topics:
        sentences.append(f"Times are of {evaluation.latency_topics:,} queries, searched one at a time.")
    if collection.unjudged:
        sentences.append(f"{collection.unjudged:,} topics without judgements were left out.")
    if collection.unasked:
        sentences.append(f"{collection.unasked:,} judged topics are not in the topics file and were not asked.")
    sentences += [
        f"{outcome.configuration}: {outcome.skipped:,} candidates had no vectors that could be read."
        for outcome in evaluation.outcomes
        if outcome.skipped
    ]
    sentences += [f"Run: {outcome.run}" for outcome in evaluation.outcomes if outcome.run]
    return sentences


def _cell(latency: Latency | None) -> str:
    return "" if latency is None else f"{latency.p50:.0f} / {latency.p95:.0f}"
