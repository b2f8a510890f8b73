"""The version a document is written with, so that neither a crash nor a retry can lose, double or swap a document.

Documents go in with OpenSearch's ``external_gte`` versioning under

    version = run epoch << 32 | 2**32 - 1 - line

so within a run the first line with an id wins, in whatever order the lines arrive; the same line sent again after a
crash is accepted; a line of a later run overwrites. The epoch is a time in seconds, counted from 2020 so that a version
stays under 2**63 until 2088.
"""

from __future__ import annotations

import re

VERSION_TYPE = "external_gte"
EPOCH_ORIGIN = 1_577_836_800
_LINE_BITS = 32
_LAST_LINE = (1 << _LINE_BITS) - 1
_CURRENT = re.compile(r"current version \[(\d+)\]")


def version_of(epoch: int, line: int) -> int:
    """Version of a line (1 to 2**32 - 1) in the run of that epoch."""
    if not 0 < line <= _LAST_LINE:
        raise ValueError(f"line {line} is out of range")
    return epoch << _LINE_BITS | _LAST_LINE - line


def explain_conflict(reason: str, epoch: int) -> str:
    """What a 409's reason means for a line of the run of that epoch."""
    found = _CURRENT.search(reason)
    if not found:
        return reason
    version = int(found[1])
    if version >> _LINE_BITS == epoch:
        return f"duplicate of line {_LAST_LINE - (version & _LAST_LINE)}"
    return "a later run, or another writer with external versions, has already written this document"
