"""Attaching by a new index with the tests' encoder; as a process, to be killed: URL ALIAS SECONDS_PER_TEXT."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace

from attached_texts import PACE, WordEncoder, filler, make_index
from opensearchpy import OpenSearch

from opensearch_multivector.indexing.attach.apply import attach
from opensearch_multivector.indexing.attach.swap import Replaced, is_copied, replace_index
from opensearch_multivector.indexing.attach.wanted import Wanted
from opensearch_multivector.plugin.attachments import NEW
from opensearch_multivector.plugin.sub_fields import Slim

# In these tests no request is on its way for long.
QUIET = 0.5


def make_aliased(client: OpenSearch, index: str, shards: int = 2) -> str:
    """Somebody's index, and the alias that all use."""
    make_index(client, index, shards)
    client.indices.put_alias(index=index, name=f"{index}-all")
    return f"{index}-all"


def wish() -> Wanted:
    words = WordEncoder()
    return Wanted(("text",), words, words, "f32", sub_fields=(Slim(),))


def attach_new(
    client: OpenSearch,
    alias: str,
    seconds: float = 0.0,
    *,
    block_writes: bool = False,
    message: Callable[[str], None] = lambda _: None,
) -> Replaced | None:
    """What `osmv attach ALIAS --mode new` does, up to the end; None where the swap was over already."""
    attachment = attach(client, alias, wish(), NEW)
    pace = replace(PACE, lease_seconds=1.0)
    replaced = None
    if is_copied(attachment):
        replaced = replace_index(
            client,
            alias,
            "mv",
            lambda index, phase: filler(client, index, seconds=seconds, pace=pace, phase=phase),
            block_writes=block_writes,
            quiet=QUIET,
            message=message,
        )
    filler(client, alias, seconds=seconds, pace=pace).backfill()
    return replaced


if __name__ == "__main__":
    url, name, each = sys.argv[1:]
    with OpenSearch(url, timeout=60) as opened:
        done = attach_new(opened, name, float(each))
    print(json.dumps(done.to_dict() if done else None))
