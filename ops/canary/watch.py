"""Canaries on a schedule: what `osmv canary watch`, the exporter and `osmv serve` do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from threading import Event, Thread

from opensearchpy import OpenSearch

from opensearch_multivector.errors import InputError, OsmvError
from opensearch_multivector.ops.canary import store
from opensearch_multivector.ops.canary.canary import Canary
from opensearch_multivector.ops.canary.check import check_canary, open_searcher
from opensearch_multivector.ops.canary.results import Check
from opensearch_multivector.queries.searcher import Searcher

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LEAST = 1.0


def seconds_of(text: str) -> float:
    """``90s``, ``5m``, ``1h``, ``1d`` in seconds. Raises InputError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", text)
    if found is None or float(found[1]) * _UNITS[found[2]] < _LEAST:
        raise InputError(f"{text!r} is no time between two checks: give a number and s, m, h or d, such as 5m")
    return float(found[1]) * _UNITS[found[2]]


class Watch:
    """Checks canaries as they get due; keeps a searcher for each, so that codebooks are not fetched each time.

    ``only``: their names; none: all there are. Several of these, in any processes, share the work.
    """

    def __init__(self, client: OpenSearch, every: float, only: tuple[str, ...] = ()) -> None:
        self._client = client
        self._every = every
        self._only = only
        self._searchers: dict[str, tuple[Canary, Searcher]] = {}

    def check_due(self) -> list[Check]:
        """Check those that nobody has checked for as long as `every`.

        Raises ClusterError and MismatchError where no canary could be checked or what was found not be kept.
        """
        made: list[Check] = []
        failed: OsmvError | None = None
        for name in self._only or store.names(self._client):
            try:
                # A little early rather than a whole turn late.
                if store.claim_turn(self._client, name, time.time(), self._every * 0.95):
                    made += self._check(name)
            except OsmvError as error:
                failed = failed or error
        if failed is not None and not made:
            raise failed
        return made

    def _check(self, name: str) -> list[Check]:
        canary = store.find_canary(self._client, name)
        if canary is None:
            return []  # removed a moment ago, or not finished yet
        return [check_canary(self._client, canary, searcher=self._searcher(canary))]

    def run(self, stop: Event, told: Callable[[Check], None], failed: Callable[[OsmvError], None]) -> None:
        """Until ``stop`` is set; an error is told, and the next turn waited for."""
        while not stop.is_set():
            try:
                for check in self.check_due():
                    told(check)
            except OsmvError as error:
                failed(error)
            # Others share the schedule, so that it is looked more often than once a turn.
            stop.wait(min(self._every, max(_LEAST, self._every / 10)))

    def start(
        self,
        stop: Event,
        told: Callable[[Check], None] = lambda _: None,
        failed: Callable[[OsmvError], None] = lambda _: None,
    ) -> Thread:
        """`run` in a thread of its own, which does not keep the process alive."""
        thread = Thread(target=self.run, args=(stop, told, failed), name="osmv-canaries", daemon=True)
        thread.start()
        return thread

    def _searcher(self, canary: Canary) -> Searcher | None:
        kept = self._searchers.get(canary.name)
        if kept is None or kept[0] != canary:
            try:
                kept = canary, open_searcher(self._client, canary)
            except OsmvError:
                return None  # which the check says
            self._searchers[canary.name] = kept
        return kept[1]


def latest(client: OpenSearch) -> list[Check]:
    """The last check of each canary that has been checked, by name. Raises ClusterError, MismatchError."""
    found = (store.get_results(client, name).last for name in store.names(client))
    return [check for check in found if check is not None]
