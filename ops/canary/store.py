"""Canaries in the cluster: a list of their names, and for each its head, its queries in parts, and what checks found.

All of it is small documents of `osmv-state`, read by their keys. Answers are of a generation: those of the next are
written beside, and the head is written last, so that a canary has whole answers at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError, MismatchError
from opensearch_multivector.ops.canary.canary import Canary, Query
from opensearch_multivector.ops.canary.results import Check, Point
from opensearch_multivector.plugin.state import forget_state, get_state, put_state

_NAMES = "canaries"
_PART = 20  # queries in one document: about 1 MB of vectors
_TRIES = 20
HISTORY = 200


@dataclass(frozen=True, slots=True)
class Results:
    """What is known of a canary from its checks: the last one, what it is held against, the course of time."""

    last: Check | None = None
    baseline: dict[str, dict[str, float]] | None = None
    history: tuple[Point, ...] = ()

    def by_segments(self) -> dict[str, dict[int, dict[str, float | None]]]:
        """By way and number of segments, means over the checks that saw so many: the recall, of the oldest and newest.

        Where HNSW finds less in many small graphs, or in one large one, it shows here.
        """
        grouped: dict[str, dict[int, list[tuple[float | None, ...]]]] = {}
        for point in self.history:
            for way, recalls in point.recall.items() if point.segments is not None else ():
                grouped.setdefault(way, {}).setdefault(point.segments or 0, []).append(recalls)
        return {
            way: {
                segments: dict(zip(("recall", "oldest", "newest"), map(_mean, zip(*rows, strict=True)), strict=True))
                for segments, rows in sorted(of_way.items())
            }
            for way, of_way in grouped.items()
        }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def names(client: OpenSearch) -> list[str]:
    """All canaries. Raises ClusterError."""
    stored = get_state(client, _NAMES)
    return sorted(stored.value.get("names", [])) if stored else []


def get_canary(client: OpenSearch, name: str) -> Canary:
    """Raises MismatchError where there is none of that name, ClusterError."""
    stored = get_state(client, _key(name))
    if stored is None:
        there = names(client)
        known = f"there are: {', '.join(there)}" if there else "there is none"
        raise MismatchError(f"no canary is called {name!r} ({known}): `osmv canary add` makes one")
    return Canary.from_state(stored.value)


def find_canary(client: OpenSearch, name: str) -> Canary | None:
    """As `get_canary`; None where there is none."""
    stored = get_state(client, _key(name))
    return Canary.from_state(stored.value) if stored else None


def put_canary(client: OpenSearch, canary: Canary) -> None:
    """Write the head, and the name into the list. Raises ClusterError."""
    _put(client, _key(canary.name), lambda _: canary.to_state())
    _put(client, _NAMES, lambda before: {"names": sorted({*before.get("names", []), canary.name})})


def put_queries(client: OpenSearch, canary: Canary, queries: Sequence[Query]) -> None:
    """Write the queries of the canary's generation. Raises ClusterError."""
    for part, first in enumerate(range(0, len(queries), _PART)):
        state = {"queries": [query.to_state() for query in queries[first : first + _PART]]}
        _put(client, _part_key(canary, part), lambda _, state=state: state)  # type: ignore[misc]


def get_queries(client: OpenSearch, canary: Canary) -> list[Query]:
    """Queries and answers. Raises MismatchError where some are missing or altered, ClusterError."""
    found: list[Query] = []
    for part in range(_parts(canary)):
        stored = get_state(client, _part_key(canary, part))
        found += [Query.from_state(each) for each in stored.value.get("queries", [])] if stored else []
    if len(found) != canary.queries:
        raise MismatchError(f"canary {canary.name!r} has lost queries ({len(found)} of {canary.queries}): add it anew")
    return found


def delete_queries(client: OpenSearch, canary: Canary) -> None:
    """Delete the queries of the canary's generation. Raises ClusterError."""
    for part in range(_parts(canary)):
        forget_state(client, _part_key(canary, part))


def get_results(client: OpenSearch, name: str) -> Results:
    """What checks found; raises MismatchError on what this release can't read, ClusterError."""
    stored = get_state(client, _key(name, "results"))
    if stored is None:
        return Results()
    value = stored.value
    last = Check.from_dict(value["last"]) if value.get("last") else None
    return Results(last, value.get("baseline"), tuple(map(Point.from_dict, value.get("history", []))))


def put_results(client: OpenSearch, name: str, results: Results) -> None:
    """Write them; of two checks at once the later one stands. Raises ClusterError."""
    value = {
        "last": results.last.to_dict() if results.last else None,
        "baseline": results.baseline,
        "history": [asdict(point) for point in results.history[-HISTORY:]],
    }
    _put(client, _key(name, "results"), lambda _: value)


def get_scan(client: OpenSearch, name: str) -> dict[str, Any] | None:
    """Where the scoring of all documents stands; None: none is under way. Raises ClusterError."""
    stored = get_state(client, _key(name, "scan"))
    return stored.value if stored else None


def put_scan(client: OpenSearch, name: str, value: dict[str, Any]) -> None:
    """Note it. Raises ClusterError."""
    _put(client, _key(name, "scan"), lambda _: value)


def delete_scan(client: OpenSearch, name: str) -> None:
    """Forget it. Raises ClusterError."""
    forget_state(client, _key(name, "scan"))


def claim_turn(client: OpenSearch, name: str, now: float, every: float) -> bool:
    """Whether the caller is the one to make the check that is due: of several schedules only one. Raises ClusterError.

    Whoever claimed it and died is replaced ``every`` seconds later.
    """
    key = _key(name, "turn")
    stored = get_state(client, key)
    if stored is not None and now - float(stored.value.get("at", 0)) < every:
        return False
    return put_state(client, key, {"at": now}, stored) is not None


def remove_canary(client: OpenSearch, name: str) -> None:
    """Delete all that is kept of a canary, also of one that was never finished. Raises MismatchError, ClusterError."""
    scan = get_scan(client, name)
    canary = find_canary(client, name) if scan else get_canary(client, name)
    _put(client, _NAMES, lambda before: {"names": [each for each in before.get("names", []) if each != name]})
    for key in ("", "results", "turn"):
        forget_state(client, _key(name, key))
    for each in (canary, Canary.from_state(scan["canary"]) if scan else None):
        if each is not None:
            delete_queries(client, each)
    delete_scan(client, name)


def _key(name: str, what: str = "") -> str:
    # Names hold no colon.
    return f"canary:{name}:{what}" if what else f"canary:{name}"


def _parts(canary: Canary) -> int:
    return -(-canary.queries // _PART)


def _part_key(canary: Canary, part: int) -> str:
    return _key(canary.name, f"queries-{canary.generation}-{part}")


def _put(client: OpenSearch, key: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    for _ in range(_TRIES):
        stored = get_state(client, key)
        if put_state(client, key, change(stored.value if stored else {}), stored) is not None:
            return
    raise ClusterError(f"what is kept under {key!r} is changed by many at once: try again")
