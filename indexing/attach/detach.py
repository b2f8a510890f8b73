"""Take an attached field away again: documents are as they were, a sidecar is gone, and so is what was kept of both.

First it is recorded that the field is being detached, which ends every backfill; only then is anything removed. Killed
at any point, the same call goes on: what is left to do is seen from the index itself.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError

from opensearch_multivector.errors import ClusterError, MismatchError
from opensearch_multivector.indexing.attach.host import read_host
from opensearch_multivector.indexing.backfill.by_time import PlaceStore
from opensearch_multivector.indexing.backfill.horizons import number_of_shards
from opensearch_multivector.indexing.backfill.scan import PAGE, last_seq_no, page_body, search_shard
from opensearch_multivector.indexing.backfill.throttle import Throttle
from opensearch_multivector.indexing.backfill.unit_store import UnitStore
from opensearch_multivector.indexing.bulk import BulkSender
from opensearch_multivector.indexing.patience import Patience
from opensearch_multivector.plugin.attachments import (
    IN_PLACE,
    TAIL,
    Attachment,
    concrete_index,
    get_attachment,
    remove_attachment,
    taken_over,
    update_attachment,
)
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import DEFAULT_FIELD, HASH, META_KEY, VECTORS, VERSION
from opensearch_multivector.plugin.inspection import delete_unused
from opensearch_multivector.plugin.mapping import index_exists, read_spec

# Backfills write dotted keys, others may have made an object of them. One text for all, so that it is compiled once.
_REMOVE = "ctx._source.keySet().removeIf(key -> key.equals(params.field) || key.startsWith(params.field + '.'))"
_EVERY: dict[str, Any] = {"match_all": {}}
_CONFLICT, _NOT_FOUND = 409, 404


@dataclass(frozen=True, slots=True)
class Detached:
    """``documents``: from which `F.*` was removed, of a sidecar those that it had; by this call.

    ``conflicts``: documents written by others at that moment, looked at again. ``mapped``: names that stay in the
    index's mapping, as OpenSearch removes none. ``interrupted``: it was stopped; the same call goes on.
    """

    index: str
    field: str
    mode: str
    documents: int
    conflicts: int
    mapped: tuple[str, ...]
    interrupted: bool

    def to_dict(self) -> dict[str, Any]:
        """As `osmv detach --json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Removal:
    """`F.*` of one document to be removed, from whatever it is by then: the script sees and keeps what others wrote."""

    place: Mapping[str, Any]
    field: str

    def lines(self) -> bytes:
        script = {"source": _REMOVE, "lang": "painless", "params": {"field": self.field}}
        return f"{json.dumps({'update': self.place})}\n{json.dumps({'script': script})}\n".encode()

    def conflict(self, reason: str) -> str:
        return reason


def detach(
    client: OpenSearch,
    index: str,
    field: str = DEFAULT_FIELD,
    *,
    rate: float | None = None,
    patience: float = 300.0,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    message: Callable[[str], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Detached:
    """Detach a field. ``rate``: documents per second that are written at most. ``progress``: done, and of about what.

    Raises MismatchError where the field is not attached, ClusterError.
    """
    stop = stop or threading.Event()
    attachment = get_attachment(client, index, field)
    update_attachment(client, attachment.index, field, check=_check_phase, detaching=True)
    there = _is_there(client, attachment)
    units = UnitStore(client, attachment, "detach")
    shards = number_of_shards(client, attachment.index) if there else 0
    _wait_for_workers(units, shards, message, stop)
    artifacts = _artifacts(client, attachment)
    remover = _Remover(client, attachment, shards, rate, patience, progress, stop)
    mapped: tuple[str, ...] = ()
    if not stop.is_set():
        if attachment.mode != IN_PLACE:
            remover.documents = _delete_sidecar(client, attachment)
        elif there:
            remover.run()
            mapped = _mapped(client, attachment)
    if not stop.is_set():
        if attachment.mode == IN_PLACE and there:
            _remove_description(client, attachment)
        for shard in range(shards):
            units.forget(shard)
        PlaceStore(client, attachment).forget()
        remove_attachment(client, attachment.index, field)
        delete_unused(client, artifacts)
    return Detached(
        attachment.index,
        field,
        attachment.mode,
        remover.documents,
        remover.conflicts,
        mapped,
        interrupted=stop.is_set(),
    )


class _Remover:
    """Removes `F.*` from the documents of an index until none has any."""

    def __init__(
        self,
        client: OpenSearch,
        attachment: Attachment,
        shards: int,
        rate: float | None,
        patience: float,
        progress: Callable[[int, int], None],
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._index = attachment.index
        self._field = attachment.field
        self._shards = shards
        self._patience = Patience(patience, stop)
        self._throttle = Throttle(rate, stop)
        self._sender = BulkSender(client, attachment.index, patience=patience, stop=stop)
        self._progress = progress
        self._stop = stop
        self._total = 0
        self.documents = self.conflicts = 0

    def run(self) -> None:
        """Raises ClusterError, also where a document is refused."""
        hash_, vectors = f"{self._field}.{HASH}", f"{self._field}.{VECTORS}"
        filled = {"bool": {"should": [{"exists": {"field": name}} for name in (hash_, vectors)]}}
        # Those that the mapping knows of go first; a text that went away has left values that are null, which only a
        # look into each `_source` finds.
        while not self._stop.is_set():
            self._pass(filled)
            if self._stop.is_set() or not self._pass(_EVERY):
                return

    def _pass(self, query: dict[str, Any]) -> int:
        """Go through what matches now; how many documents had `F.*`."""
        with cluster_errors():
            self._patience(lambda: self._client.indices.refresh(index=self._index))
            if query is not _EVERY:
                left = int(self._client.count(index=self._index, body={"query": query})["count"])
                self._total = self.documents + left
        found = 0
        for shard in range(self._shards):
            for removals in self._pages(shard, query):
                if self._stop.is_set():
                    return found
                found += len(removals)
                self._throttle.wait(len(removals))
                self._remove(removals)
                self._progress(self.documents, max(self.documents, self._total))
        return found

    def _pages(self, shard: int, query: dict[str, Any]) -> Iterator[list[_Removal]]:
        after, to = -1, self._patience(lambda: last_seq_no(self._client, self._index, shard))
        in_source = [f"{self._field}.{name}" for name in (HASH, VERSION)] if query is _EVERY else []
        while after < to:
            body = page_body(after, to, PAGE, in_source)
            body["query"] = {"bool": {"filter": [body["query"], query]}}
            hits = self._patience(lambda body=body: search_shard(self._client, self._index, shard, body))  # type: ignore[misc]
            has = [hit for hit in hits if hit.get("_source") or not in_source]
            if has:
                yield [_Removal(_place(hit), self._field) for hit in has]
            after = hits[-1]["_seq_no"] if len(hits) == PAGE else to

    def _remove(self, removals: list[_Removal]) -> None:
        for result in self._sender.send(removals):
            if result.reason is None:
                self.documents += 1
            elif result.status == _CONFLICT:
                self.conflicts += 1
            elif result.status != _NOT_FOUND:
                raise ClusterError(f"document {result.item.place['_id']!r} can't be written: {result.reason}")


def _place(hit: Mapping[str, Any]) -> dict[str, Any]:
    return {"_id": hit["_id"]} | ({"routing": hit["_routing"]} if "_routing" in hit else {})


def _check_phase(attachment: Attachment) -> None:
    if attachment.phase == TAIL:
        raise MismatchError(taken_over(attachment))


def _is_there(client: OpenSearch, attachment: Attachment) -> bool:
    """Whether the index is still the one that was attached."""
    if not index_exists(client, attachment.index):
        return False
    return concrete_index(client, attachment.index) == (attachment.index, attachment.index_uuid)


def _wait_for_workers(units: UnitStore, shards: int, message: Callable[[str], None], stop: threading.Event) -> None:
    """Return when no backfill is at work any more: each looks at the record before the next page."""
    told = False
    for shard in range(shards):
        while not stop.is_set() and (work := units.read(shard)):
            leases = [lease for lease in work.leases if lease.until > time.time()]
            if not leases:
                break
            if not told:
                message(f"waiting for the backfill of {leases[0].owner} to stop, or to be given up")
                told = True
            stop.wait(0.5)


def _delete_sidecar(client: OpenSearch, attachment: Attachment) -> int:
    """Delete the sidecar or unfinished copy; how many documents it had. Raises MismatchError where it is none."""
    if not index_exists(client, attachment.target):
        return 0
    target = read_host(client, attachment.target)
    # Whoever can write the record could else have any index deleted by whoever may.
    if target.index != attachment.target or not target.is_on("hidden") or not target.described(attachment.field):
        raise MismatchError(
            f"index {attachment.target!r}, which the record says to delete, is not hidden or does not describe field "
            f"{attachment.field!r}, so it is not what `osmv attach` made: delete it yourself where it is not needed"
        )
    with cluster_errors():
        documents = int(client.count(index=attachment.target)["count"])
        with suppress(NotFoundError):
            client.indices.delete(index=attachment.target)
    return documents


def _artifacts(client: OpenSearch, attachment: Attachment) -> tuple[str, ...]:
    """What was learnt for the field; nothing where the field is described no more."""
    try:
        return tuple(read_spec(client, attachment.target, attachment.field).artifacts.values())
    except (ClusterError, MismatchError):
        return ()


def _mapped(client: OpenSearch, attachment: Attachment) -> tuple[str, ...]:
    with cluster_errors():
        mapping = client.indices.get_mapping(index=attachment.index)[attachment.index]["mappings"]
    properties = mapping.get("properties", {}).get(attachment.field, {}).get("properties", {})
    return tuple(f"{attachment.field}.{name}" for name in sorted(properties))


def _remove_description(client: OpenSearch, attachment: Attachment) -> None:
    """Take the field out of `_meta`, which is written whole: what else is in there stays."""
    index = attachment.index
    with cluster_errors():
        meta = dict(client.indices.get_mapping(index=index)[index]["mappings"].get("_meta") or {})
        own = dict(meta.pop(META_KEY, {}))
        fields = {name: value for name, value in own.pop("fields", {}).items() if name != attachment.field}
        if fields:
            own["fields"] = fields
        client.indices.put_mapping(index=index, body={"_meta": {**meta, **({META_KEY: own} if own else {})}})
