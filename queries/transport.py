"""What the sync and the async searcher do with a plan's rounds, less the I/O itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from opensearch_multivector.queries.delivery import Answer
from opensearch_multivector.queries.plan import Plan
from opensearch_multivector.queries.rerankers import MAX_RESPONSE_BYTES
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.rounds import Round


def advance(running: Plan, answer: Answer | None) -> SearchResult | Round:
    """Advance a plan by the answer to its last round (None: start it), to its next round or its result."""
    try:
        if isinstance(answer, Exception):
            return running.throw(answer)
        return next(running) if answer is None else running.send(answer)
    except StopIteration as stop:
        result: SearchResult = stop.value
        return result


def batches(rounds: list[tuple[int, Round]]) -> Iterator[list[tuple[int, Round]]]:
    """Numbered rounds in runs whose responses together stay under `MAX_RESPONSE_BYTES`: each is one `_msearch`."""
    batch: list[tuple[int, Round]] = []
    size = 0
    for number, round_ in rounds:
        if batch and size + round_.response_bytes > MAX_RESPONSE_BYTES:
            yield batch
            batch, size = [], 0
        batch.append((number, round_))
        size += round_.response_bytes
    if batch:
        yield batch


def took(answer: Answer) -> float:
    """Milliseconds of the engine's own time."""
    if isinstance(answer, Exception):
        return 0.0
    return float(sum(response.get("took", 0) for response in answer))


def book(timings: dict[str, float], stage: str, milliseconds: float) -> None:
    """Add to a stage's time: a stage may take several rounds."""
    timings[stage] = timings.get(stage, 0.0) + milliseconds


def with_timings(result: SearchResult, timings: dict[str, float], start: float | None = None) -> SearchResult:
    """The result with the runner's timings added; ``total`` is wall time since ``start``, else the stages' sum."""
    merged = timings | result.timings
    if start is not None:
        merged["total"] = (time.perf_counter() - start) * 1e3
    else:
        merged["total"] = sum(value for stage, value in merged.items() if stage != "first_stage_took")
    return replace(result, timings=merged)
