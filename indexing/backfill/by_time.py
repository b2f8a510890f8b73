"""What was written since the last look, told by a field in which writers set the time: for indices whose sequence
numbers can't be read, or by choice.

Clocks differ and writes are late, so each look goes back by an ``overlap`` before the place that the one before it came
to. The place is the latest time that a document has, but never one that is still to come: a clock that is ahead does
not make the others' writes be passed over, and documents of the future are looked at each time until it is there.
What comes with an older time, or with none, is found by a pass through the whole index, once a day. Looking again
costs reading alone: what is fresh is seen by its hash, or by its version in a sidecar.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.backfill.scan import Found, hits_in_full
from opensearch_multivector.indexing.backfill.units import Letter
from opensearch_multivector.indexing.backfill.worker import Worker
from opensearch_multivector.plugin.attachments import Attachment
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.state import STATE_INDEX, forget_state, get_state, put_state
from opensearch_multivector.plugin.stored_types import read_back
from opensearch_multivector.plugin.whole_answers import EVERY_SHARD

_DATES = ("date", "date_nanos")
_KEEP_ALIVE = "10m"
_LETTERS_KEPT = 50


@dataclass(frozen=True, slots=True)
class By:
    """``field``: has the time of a write. ``overlap``: seconds by which it may be late; ``whole_every``: see above."""

    field: str
    overlap: float = 60.0
    whole_every: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Place:
    """How far it is: all with a time of up to ``until`` (milliseconds) is done, but for what is late.

    ``whole_at``: when (in seconds) the last pass through the whole index ended; None: the first has not. ``letters``:
    the last documents that were refused.
    """

    by: str
    until: int | None = None
    whole_at: float | None = None
    letters: tuple[Letter, ...] = ()

    def later(self) -> dict[str, Any]:
        """A query for what has a later time, not counting the future."""
        since = {} if self.until is None else {"gt": self.until, "format": "epoch_millis||strict_date_optional_time"}
        return {"range": {self.by: {**since, "lte": "now"}}}


class PlaceStore:
    """An attachment's place, kept in the cluster. Raises ClusterError."""

    def __init__(self, client: OpenSearch, attachment: Attachment) -> None:
        self._client = client
        self._made_at = attachment.made_at
        self._key = f"follow-{attachment.index}-{attachment.field}"

    def read(self) -> Place | None:
        """None: nobody follows the attachment by time. Raises MismatchError on what this release can't read."""
        stored = get_state(self._client, self._key)
        value = dict(stored.value) if stored else {}
        if value.pop("made_at", None) != self._made_at:
            return None
        return read_back(
            lambda: Place(**value | {"letters": tuple(Letter(**letter) for letter in value["letters"])}),
            f"the record of a follower's place, in {STATE_INDEX!r},",
        )

    def write(self, place: Place) -> None:
        """Note it; two followers that do so at once look at some documents twice, and no more."""
        value = asdict(place) | {"made_at": self._made_at}
        put_state(self._client, self._key, value, get_state(self._client, self._key))

    def forget(self) -> None:
        """Drop it, for a field that is detached."""
        forget_state(self._client, self._key)


class TimeFollower:
    """Rounds over what was written since the last, in one thread."""

    def __init__(self, client: OpenSearch, attachment: Attachment, worker: Worker, by: By) -> None:
        self._client = client
        self._index = attachment.index
        self._worker = worker
        self._by = by
        self._patience = worker.patience
        self._store = PlaceStore(client, attachment)
        check_time_field(client, attachment.index, by.field)

    def round(self) -> None:
        """Look once. Raises PausedError, MismatchError and ClusterError, as `Worker.run`."""
        self._worker.check()
        with cluster_errors():
            self._patience(lambda: self._client.indices.refresh(index=self._index))
        latest = self._patience(self._latest)
        place = self._patience(self._store.read)
        if place is None or place.by != self._by.field:
            place = Place(self._by.field)
        whole = place.whole_at is None or time.time() - place.whole_at > self._by.whole_every
        since = None if place.until is None or (whole and place.whole_at is not None) else place.until
        for last, page in self._pages(None if since is None else since - int(self._by.overlap * 1000)):
            self._worker.check()
            counts, refused = self._worker.fill(page)
            self._worker.progress(counts)
            place = replace(place, letters=_letters(place.letters, page, refused))
            if place.whole_at is None and last is not None:
                place = replace(place, until=min(last, latest))
            if whole or refused:
                self._patience(lambda place=place: self._store.write(place))  # type: ignore[misc]
        until = max(latest, place.until or 0)
        after = replace(place, until=until, whole_at=time.time() if whole else place.whole_at)
        self._patience(lambda: self._store.write(after))

    def _latest(self) -> int:
        """The latest time of a document that is not in the future, by the cluster's clock; 0 where there is none."""
        field = self._by.field
        body = {
            "size": 0,
            "query": {"range": {field: {"lte": "now"}}},
            "aggs": {"latest": {"max": {"field": field}}},
        }
        with cluster_errors():
            answer = self._client.search(index=self._index, body=body, params={**EVERY_SHARD, "request_cache": "false"})
        return int(answer["aggregations"]["latest"]["value"] or 0)

    def _pages(self, since: int | None) -> Iterator[tuple[int | None, Sequence[Found]]]:
        """Documents from a time on, or all of them, the earliest first; those without one before them.

        With each page the time of its last; None where that has none.
        """
        field = self._by.field
        query: dict[str, Any] = {"match_all": {}}
        if since is not None:
            query = {"range": {field: {"gte": max(since, 0), "format": "epoch_millis"}}}
        first = {field: {"order": "asc", "missing": "_first", "numeric_type": "date", "unmapped_type": "date"}}
        with cluster_errors():
            opened = self._patience(
                lambda: self._client.create_pit(index=self._index, params={"keep_alive": _KEEP_ALIVE})
            )
        pit, shards = opened["pit_id"], opened["_shards"]["total"]
        # Only within one shard does `_doc` tell those of the same time apart; `_shard_doc` would over all of them, from
        # OpenSearch 3.3 on. As many slices as shards are the shards; of one there can be no slice.
        slices = [{"slice": {"id": shard, "max": shards}} for shard in range(shards)] if shards > 1 else [{}]
        size = max(10, self._worker.page_size // shards)
        body = self._worker.scanner.body(query, [first, "_doc"], size) | {"pit": {"id": pit, "keep_alive": _KEEP_ALIVE}}
        streams = [self._stream(body | part) for part in slices]
        hits = heapq.merge(*streams, key=lambda hit: _time_of(hit) or float("-inf"))
        try:
            while page := list(islice(hits, self._worker.page_size)):
                yield _time_of(page[-1]), self._worker.scanner.found(page)
        finally:
            with cluster_errors():
                self._client.delete_pit(body={"pit_id": [pit]}, params={"ignore": [404]})

    def _stream(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The hits of a search, page by page."""
        while True:
            hits = self._patience(lambda body=body: self._search(body))  # type: ignore[misc]
            yield from hits
            if len(hits) < body["size"]:
                return
            body = body | {"search_after": hits[-1]["sort"]}

    def _search(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        with cluster_errors():
            answer = self._client.search(body=body, params=EVERY_SHARD)
        return hits_in_full(answer, f"not all shards of index {self._index!r} answered in full: try again")


def _time_of(hit: dict[str, Any]) -> int | None:
    """Milliseconds; None of a document without a time."""
    at: int | None = hit["sort"][0]
    return at if at is not None and at > -(2**62) else None


def check_time_field(client: OpenSearch, index: str, field: str) -> None:
    """Raise InputError where a field of the index is no date."""
    with cluster_errors():
        mapping: dict[str, Any] = client.indices.get_mapping(index=index)[index]["mappings"]
    for key in field.split("."):
        mapping = mapping.get("properties", {}).get(key, {})
    if mapping.get("type") not in _DATES:
        kind = f"is of type {mapping['type']}" if "type" in mapping else "is not in the mapping"
        raise InputError(f"field {field!r} of index {index!r} {kind}: --by takes a date that writers set at each write")


def _letters(before: Sequence[Letter], page: Sequence[Found], refused: Sequence[Letter]) -> tuple[Letter, ...]:
    looked_at = {found.doc_id for found in page}
    return (*(letter for letter in before if letter.doc_id not in looked_at), *refused)[-_LETTERS_KEPT:]
