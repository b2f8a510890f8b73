"""What others will notice of an attachment, said before it is made: a sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opensearch_multivector.indexing.attach.host import Host
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Mode


def notices(
    mode: Mode,
    target: str,
    fields: int,
    host: Host,
    hits: Sequence[Mapping[str, Any]],
    json_bytes: float,
    mean_bytes: float,
) -> tuple[str, ...]:
    """Of one mode. ``fields``: that the mapping gets; ``json_bytes``: that a document of ``mean_bytes`` grows by."""
    if mode == SIDECAR:
        return _sidecar(target, host)
    grows = (
        f"`_source` of a document grows from {mean_bytes:,.0f} to {mean_bytes + json_bytes:,.0f} bytes on average, and "
        "every application that asks for whole documents gets them; one that excludes the field does not"
    )
    return (*(_in_place(fields, grows) if mode == IN_PLACE else _new(target, host, grows)), *_versions(hits))


def _in_place(fields: int, grows: str) -> tuple[str, ...]:
    return (
        f"the mapping gets {fields} fields for good: OpenSearch can't remove a field from a mapping",
        grows,
        "each document is written once more: its `_version` and `_seq_no` rise, and a writer that holds a condition on "
        "the old ones (if_seq_no) gets a conflict once",
        "OpenSearch writes `_source` anew at every partial update, in its own spelling: 1.10 becomes 1.1, 1e5 becomes "
        "100000.0, digits beyond a double's are lost, blanks between members vanish; values stay equal otherwise",
        "whoever overwrites or reindexes a document without the field drops its vectors, until it is filled again",
    )


def _new(target: str, host: Host, grows: str) -> tuple[str, ...]:
    found = [
        f"the aliases ({', '.join(sorted(host.aliases)) or 'none'}) move from {host.index!r} to {target!r} in one "
        "step; hits say the new name as their `_index`",
        f"whoever writes to {host.index!r} by that name is refused from then on (index.blocks.write), and whoever "
        "searches it by that name finds it as it was; it stays until you delete it",
        "scrolls and points in time that are open at the swap go on with the old index",
        "for some seconds around the swap a write that got to the old index just before it is not yet in the new one; "
        "one to the same document just after it wins, and is named; --block-writes refuses writes for that moment",
        "lifecycle policies (ISM), snapshots, replication and roles that name the old index don't know of the new one",
        "numbers are spelled anew when a document is copied: 1.10 becomes 1.1, digits beyond a double's are lost",
        "each document has another `_version` and `_seq_no`: a writer that holds a condition on the old ones "
        "(if_seq_no) gets a conflict once",
        grows,
        "whoever overwrites or reindexes a document without the field drops its vectors, until it is filled again",
    ]
    if host.setting("final_pipeline") not in (None, "_none"):
        found.append(
            f"the final pipeline {host.setting('final_pipeline')!r} would see a document twice that is written just "
            "before the swap: --block-writes is needed"
        )
    return tuple(found)


def _versions(hits: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    highest = max((hit.get("_version", 1) for hit in hits), default=1)
    if highest <= 1_000_000:
        return ()
    return (
        f"a document has version {highest:,}: writers seem to number versions themselves (version_type external), and "
        "a number that is no higher than the document's version after that write will be refused",
    )


def _sidecar(target: str, host: Host) -> tuple[str, ...]:
    return (
        f"index {host.index!r} is read and refreshed, never written to",
        f"there is one more index, {target!r} (hidden), of {host.setting('number_of_shards') or 1} shards and "
        "with a document for each of the index's",
        "until segments are merged, it takes up to as much again as is sent, which OpenSearch keeps for recoveries",
        "whoever may read it learns ids, terms and filter fields of documents: grant it to searchers alone",
        "a change of a document is found by searches once it is followed, a few seconds later; in between its old "
        "vectors stand for it",
        "a search takes one more request, which reads the hits from the index itself",
    )
