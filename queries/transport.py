"""What the sync and the async searcher do with a plan's rounds, less the I/O itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from opensearchpy.exceptions import TransportError
from tenacity import retry_if_exception, stop_after_attempt, wait_random_exponential

from opensearch_multivector.errors import MismatchError
from opensearch_multivector.queries.plan import Plan
from opensearch_multivector.queries.rerankers import MAX_RESPONSE_BYTES
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.rounds import Response, Round

_BUSY = 429


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, TransportError) and error.status_code == _BUSY


# A search changes nothing, so one that a busy node refused is simply sent again, a few times.
PATIENCE: dict[str, Any] = {
    "retry": retry_if_exception(_is_busy),
    "stop": stop_after_attempt(5),
    "wait": wait_random_exponential(multiplier=0.2, max=5),
    "reraise": True,
}


def advance(running: Plan, answer: list[Response] | None) -> SearchResult | Round:
    """Advance a plan by the answer to its last round (None: start it), to its next round or its result.

    Raises MismatchError where a shard found vectors of another dimension, which would else only lack from the hits.
    """
    for response in answer or ():
        for failure in response["_shards"].get("failures", ()):
            if failure["reason"]["type"] == "dimension_mismatch":
                raise MismatchError(f"index {failure['index']!r}: {failure['reason']['reason']}")
    try:
        return next(running) if answer is None else running.send(answer)
    except StopIteration as stop:
        result: SearchResult = stop.value
        return result


def search_params(round_: Round) -> dict[str, str]:
    """URL parameters of a round's `_search`."""
    return {**round_.url_parameters, **_routing(round_)}


def _routing(round_: Round) -> dict[str, str]:
    return {"routing": round_.routing} if round_.routing is not None else {}


def takes_msearch(round_: Round) -> bool:
    """Whether the round's requests can go out in one `_msearch`."""
    return not round_.url_parameters


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


def book(timings: dict[str, float], stage: str, milliseconds: float) -> None:
    """Add to a stage's time: a stage may take several rounds."""
    timings[stage] = timings.get(stage, 0.0) + milliseconds


def msearch_lines(rounds: list[Round]) -> list[dict[str, Any]]:
    """Header and body lines of one `_msearch` of the searcher's index for all the rounds' requests, in order."""
    return [
        line
        for round_ in rounds
        for index, body in round_.sent
        for line in (({"index": index} if index else {}) | _routing(round_), body)
    ]


def responses_of_batch(rounds: list[Round], response: Response) -> list[list[Response]]:
    """The responses of an `_msearch`, grouped as the rounds were. Raises TransportError for the first that failed."""
    for item in response["responses"]:
        if "error" in item:
            raise TransportError(item["status"], item["error"].get("type"), item)
    items = iter(response["responses"])
    return [[next(items) for _ in round_.bodies] for round_ in rounds]


def with_timings(result: SearchResult, timings: dict[str, float], start: float | None = None) -> SearchResult:
    """The result with the runner's timings added; ``total`` is wall time since ``start``, else the stages' sum."""
    merged = timings | result.timings
    if start is not None:
        merged["total"] = (time.perf_counter() - start) * 1e3
    else:
        merged["total"] = sum(value for stage, value in merged.items() if stage != "first_stage_took")
    return replace(result, timings=merged)
