"""An evaluation as a table for people."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from opensearch_multivector.evaluation.evaluate import Evaluation


def table(evaluation: Evaluation, names: Mapping[str, str] | None = None) -> Table:
    """Measures, and median / 95th percentile milliseconds of each stage; the best value of a measure in bold.

    ``names``: what to call a configuration instead of its own name.
    """
    collection, outcomes = evaluation.collection, evaluation.outcomes
    stages = list(dict.fromkeys(stage for outcome in outcomes for stage in outcome.latency if stage != "total"))
    stages += ["total"] if any("total" in outcome.latency for outcome in outcomes) else []
    measures = list(outcomes[0].scores.mean)
    best = {measure: max(outcome.scores.mean[measure] for outcome in outcomes) for measure in measures}

    result = Table(title=f"{collection.name}: {len(collection.topics):,} topics", title_justify="left")
    result.add_column("configuration")
    for measure in measures:
        result.add_column(measure, justify="right")
    for stage in stages:
        result.add_column(f"{stage.replace('_', ' ')} ms", justify="right")
    for outcome in outcomes:
        values = [
            f"[bold]{mean:.3f}[/bold]" if mean == best[measure] else f"{mean:.3f}"
            for measure, mean in outcome.scores.mean.items()
        ]
        latencies = (outcome.latency.get(stage) for stage in stages)
        times = ["" if each is None else f"{each.p50:.0f} / {each.p95:.0f}" for each in latencies]
        result.add_row((names or {}).get(outcome.configuration, outcome.configuration), *values, *times)
    result.caption = _caption(evaluation) or None
    result.caption_justify = "left"
    return result


def _caption(evaluation: Evaluation) -> str:
    collection = evaluation.collection
    notes = []
    if evaluation.latency_topics:
        notes.append(f"Times: p50 / p95 of {evaluation.latency_topics} queries, one at a time.")
    if collection.unjudged:
        notes.append(f"{collection.unjudged:,} topics without judgements left out.")
    if collection.unasked:
        notes.append(f"{collection.unasked:,} judged topics are not in the topics file and were not asked.")
    skipped = {outcome.configuration: outcome.skipped for outcome in evaluation.outcomes if outcome.skipped}
    notes += [f"{name}: {count:,} candidates had unreadable vectors." for name, count in skipped.items()]
    return " ".join(notes)
