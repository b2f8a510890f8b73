"""How much each fault is given: a short form for every run of the tests, a long one for `make faults`.

OSMV_FAULTS=long: the long form. OSMV_FAULTS_ROW=mixed,nodes: those rows alone. OSMV_FAULTS_TABLE=docs/faults.md: where
the table is written, too. OSMV_TEST_SEED=N: the random choices of an earlier run, which each failure names.
"""

from __future__ import annotations

import os

import pytest

LONG = os.environ.get("OSMV_FAULTS") == "long"
SEED = int(os.environ["OSMV_TEST_SEED"])  # tests/conftest.py chooses where nobody has

# What takes long, while something like it is in the short form.
long_only = pytest.mark.skipif(not LONG, reason="takes a minute or more: `make faults` runs it")


def scale(short: int, long: int) -> int:
    """The one or the other, by the form that runs."""
    return long if LONG else short


KILLS = scale(2, 50)  # of workers, for each mode and number of them
KILLED_RUNS = scale(2, 20)  # of `osmv index`
USERS_DOCUMENTS = scale(500, 20_000)
MIXED_SECONDS = scale(15, 1_800)
HOSTILE_INPUTS = scale(600, 10_000)
FUZZED_BLOBS = scale(300, 3_000)
STORM_SEARCHES = scale(900, 12_000)
NODE_KILLS = scale(1, 4)
NEW_DOCUMENTS = scale(400, 10_000)
NEW_KILLED_DOCUMENTS = scale(250, 2_000)
NEW_KILLS = scale(4, 52)  # while an index is copied and swapped, four times each
