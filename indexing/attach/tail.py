"""Writes that reached an index while its copy took its place: carried over without undoing what came to the copy.

From the last pass of the ordinary copying on, documents are copied by writes that are each guarded by what the copy has
at that moment. A copied document holds its own `_version` as `F.version`: where both agree nobody else has written it,
as a full write by an application drops that, and a partial one raises `_version` alone.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing.attach.copied import take_mapping
from opensearch_multivector.indexing.backfill.horizons import Horizon, read_horizons
from opensearch_multivector.indexing.backfill.reconcile import orphans_of
from opensearch_multivector.indexing.backfill.scan import PAGE, page_body, search_shard
from opensearch_multivector.indexing.backfill.unit_store import UnitStore
from opensearch_multivector.indexing.bulk import BulkSender
from opensearch_multivector.indexing.patience import Patience
from opensearch_multivector.plugin.attachments import Attachment
from opensearch_multivector.plugin.documents import get_documents
from opensearch_multivector.plugin.fields import HASH, VERSION, FieldSpec, without_field

_CONFLICT = 409
_TRIES = 20

Place = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class _Write:
    """One guarded write or (``body`` None) deletion in the copy."""

    place: Place
    action: Mapping[str, Any]
    body: Mapping[str, Any] | None

    def lines(self) -> bytes:
        meta = {"_id": self.place[0], **self.action} | ({"routing": self.place[1]} if self.place[1] else {})
        if self.body is None:
            return json.dumps({"delete": meta}).encode() + b"\n"
        # Pipelines have seen the document when its user wrote it.
        return f"{json.dumps({'index': meta | {'pipeline': '_none'}})}\n{json.dumps(self.body)}\n".encode()

    def conflict(self, reason: str) -> str:
        return reason


@dataclass(slots=True)
class Carried:
    """``written``, ``deleted``: in the copy. ``both_sides``: documents that were written in the old index and, after
    the aliases had moved, in the new one, whose write stands. ``refused``: reasons, by document.
    """

    written: int = 0
    deleted: int = 0
    both_sides: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)


class Tail:
    """Carries over from where the ordinary copying ended; ``attachment``: the old index's."""

    def __init__(
        self,
        client: OpenSearch,
        attachment: Attachment,
        spec: FieldSpec,
        *,
        patience: float,
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._attachment = attachment
        self._spec = spec
        self._marker = spec.sub(VERSION)
        self._patience = Patience(patience, stop)
        self._sender = BulkSender(client, attachment.target, patience=patience, stop=stop)
        self._units = UnitStore(client, attachment, "")
        self._reached: dict[int, int] = {}
        self._gone: set[Place] = set()  # not in the copy, which remembers their deletion
        self.carried = Carried()

    def writes(self) -> int:
        """Carry over what was written since; how many documents that were. Raises ClusterError and MismatchError."""
        seen = 0
        for horizon in self._horizons():
            after = self._reached.get(horizon.shard)
            if after is None:
                work = self._patience(lambda shard=horizon.shard: self._units.read(shard))  # type: ignore[misc]
                after = work.covered if work else -1
            while after < horizon.seq_no:
                body = page_body(after, horizon.seq_no, PAGE, False)
                hits = self._patience(
                    lambda shard=horizon.shard, body=body: search_shard(  # type: ignore[misc]
                        self._client, self._attachment.index, shard, body
                    )
                )
                seen += len(hits)
                self._settle([(hit["_id"], hit.get("_routing")) for hit in hits])
                after = hits[-1]["_seq_no"] if len(hits) == PAGE else horizon.seq_no
            self._reached[horizon.shard] = max(after, horizon.seq_no)
        return seen

    def deletions(self) -> None:
        """Delete what was deleted in the old index, by a look at every document, when that takes no more writes.

        Before, one that comes again would meet what the copy remembers of its deletion. Raises ClusterError and
        MismatchError.
        """
        for orphans in orphans_of(self._client, self._attachment, self._patience):
            self._settle([(orphan.doc_id, orphan.routing) for orphan in orphans], closed=True)

    def _horizons(self) -> Sequence[Horizon]:
        attachment = self._attachment
        horizons = self._patience(lambda: read_horizons(self._client, attachment))
        self._patience(lambda: take_mapping(self._client, attachment.index, attachment.target, attachment.field))
        return horizons

    def _settle(self, places: Sequence[Place], *, closed: bool = False) -> None:
        for _ in range(_TRIES):
            if not places:
                return
            # In this order: a write that comes to the copy after it was read is a conflict, whatever was read then.
            copies = self._documents(self._attachment.target, places)
            originals = self._documents(self._attachment.index, places)
            decided = map(self._decide, places, copies, originals)
            places = self._send(write for write in decided if write and (write.body is not None or closed))
        if places:
            raise ClusterError(
                f"document {places[0][0]!r} of {self._attachment.target!r} is written all the time: try again"
            )

    def _decide(self, place: Place, copy: Mapping[str, Any], original: Mapping[str, Any]) -> _Write | None:
        if not copy["found"]:
            return self._create(place, original) if original["found"] else None
        has = copy["_source"]
        untouched = has.get(self._marker) == copy["_version"]
        name = self._spec.field
        if original["found"] and without_field(has, name) == without_field(original["_source"], name):
            return None
        if not untouched:
            # Without a mark it is a user's as a whole, and may be a document that the old index never had.
            if original["found"] or self._marker in has:
                self.carried.both_sides.add(place[0])
            return None
        guard = {"if_seq_no": copy["_seq_no"], "if_primary_term": copy["_primary_term"]}
        if not original["found"]:
            return _Write(place, guard, None)
        return _Write(place, guard, self._body(original["_source"], has, copy["_version"] + 1))

    def _create(self, place: Place, original: Mapping[str, Any]) -> _Write | None:
        if place in self._gone:
            self.carried.both_sides.add(place[0])
            return None
        # Not taken where the copy remembers a deletion (`gc_deletes`), as an ordinary creation would be.
        guard = {"version": 1, "version_type": "external"}
        return _Write(place, guard, self._body(original["_source"], {}, 1))

    def _body(self, source: dict[str, Any], has: Mapping[str, Any], version: int) -> dict[str, Any]:
        """The document as it is in the old index, with what is stored of its text where that is the same."""
        name = self._spec.field
        kept: dict[str, Any] = {}
        if has.get(self._spec.sub(HASH)) == self._attachment.content_hash(self._spec.text_of(source)):
            kept = {key: value for key, value in has.items() if key.split(".", 1)[0] == name}
        return without_field(source, name) | kept | {self._marker: version}

    def _send(self, writes: Iterable[_Write]) -> list[Place]:
        """The places to look at again."""
        again = []
        for result in self._sender.send(list(writes)):
            write = result.item
            if result.reason is None:
                if write.body is None:
                    self.carried.deleted += 1
                else:
                    self.carried.written += 1
            elif result.status == _CONFLICT:
                again.append(write.place)
                if "version" in write.action:
                    self._gone.add(write.place)
            else:
                self.carried.refused[write.place[0]] = result.reason
        return again

    def _documents(self, index: str, places: Sequence[Place]) -> list[dict[str, Any]]:
        return self._patience(lambda: get_documents(self._client, index, places))
