"""Canaries: queries whose exact answers are known, by which it is seen that recall is still what it was.

For the exporter, `osmv serve` and the console: `latest` reads the last `Check` of each canary, `Watch.check_due` makes
those that are due, and `Watch.start` does so on a schedule.
"""

from opensearch_multivector.ops.canary.canary import Canary
from opensearch_multivector.ops.canary.check import check_canary
from opensearch_multivector.ops.canary.make import SAMPLE, Watching, add_canary, renew_canary
from opensearch_multivector.ops.canary.results import Check, Outcome, Point
from opensearch_multivector.ops.canary.store import (
    Results,
    find_canary,
    get_canary,
    get_results,
    names,
    remove_canary,
)
from opensearch_multivector.ops.canary.watch import Watch, latest, seconds_of

__all__ = [
    "SAMPLE",
    "Canary",
    "Check",
    "Outcome",
    "Point",
    "Results",
    "Watch",
    "Watching",
    "add_canary",
    "check_canary",
    "find_canary",
    "get_canary",
    "get_results",
    "latest",
    "names",
    "remove_canary",
    "renew_canary",
    "seconds_of",
]
