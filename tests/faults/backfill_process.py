"""A process that fills an attached field with the tests' encoder, to be killed: URL INDEX SECONDS_PER_TEXT."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from attached_texts import PACE, filler
from opensearchpy import OpenSearch

if __name__ == "__main__":
    url, index, seconds = sys.argv[1:]
    with OpenSearch(url, timeout=60) as client:
        summary = filler(client, index, seconds=float(seconds), pace=replace(PACE, lease_seconds=2.0)).backfill()
    print(json.dumps(summary.to_dict()))
