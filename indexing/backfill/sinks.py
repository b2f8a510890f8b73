"""Where what was made of documents goes: into the documents themselves, beside them, or into copies of them.

Always a write by somebody else wins over one of ours that was made of an earlier text: in place an update is
refused where the document is no longer the one that was read, and another index takes nothing older than what it has.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from opensearchpy import OpenSearch

from opensearch_multivector.indexing.backfill.beside import Text
from opensearch_multivector.indexing.backfill.scan import Found
from opensearch_multivector.indexing.bulk import BulkSender, Result
from opensearch_multivector.indexing.patience import Waiting
from opensearch_multivector.indexing.versions import VERSION_TYPE
from opensearch_multivector.plugin.attachments import IN_PLACE, NEW, Attachment
from opensearch_multivector.plugin.fields import HASH, VERSION, FieldSpec, without_field
from opensearch_multivector.plugin.mapping import attached_properties

# Sub-fields of these types are objects, which an update merges with what is there instead of replacing it; and they
# take an empty list for "nothing", but no null.
_OBJECTS = frozenset({"rank_features", "sparse_vector"})
_CONFLICT, _NOT_FOUND = 409, 404


class Fate(StrEnum):
    """What became of a write. ``CONFLICT``: the document was written by somebody else; ``GONE``: it was deleted."""

    WRITTEN = "written"
    CONFLICT = "conflicts"
    GONE = "gone"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Change:
    """What to store for a document: the JSON object ``body`` with `F.*` and `F.hash`; None: nothing of the sort."""

    found: Found
    text: Text
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Written:
    """A change's fate; ``reason`` says why it was refused."""

    change: Change
    fate: Fate
    reason: str = ""


class Sink(Protocol):
    """Writes changes."""

    def write(self, changes: Sequence[Change]) -> list[Written]:
        """What became of each, in any order. Raises ClusterError where the cluster gives up."""


def sink_of(
    client: OpenSearch,
    attachment: Attachment,
    spec: FieldSpec,
    *,
    patience: float,
    stop: threading.Event,
    waiting: Waiting | None = None,
) -> Sink:
    """The sink of an attachment; blocks against writing are waited for. ``waiting``: see `retrying`."""
    sender = BulkSender(client, attachment.target, patience=patience, stop=stop, blocks_pass=True, waiting=waiting)
    if attachment.mode == NEW:
        return Copy(sender, attachment.field)
    return InPlace(sender, spec) if attachment.mode == IN_PLACE else Sidecar(sender)


@dataclass(frozen=True, slots=True)
class _Item:
    change: Change
    action: bytes
    body: bytes | None

    def lines(self) -> bytes:
        return self.action + b"\n" + (b"" if self.body is None else self.body + b"\n")

    def conflict(self, reason: str) -> str:
        return reason


class InPlace:
    """Partial updates of `F.*` alone, each for the very version of the document that was read."""

    def __init__(self, sender: BulkSender, spec: FieldSpec) -> None:
        self._sender = sender
        kinds = {spec.sub(name): body["type"] for name, body in _members(spec).items()}
        self._objects = frozenset(name for name, kind in kinds.items() if kind in _OBJECTS)
        self._nothing: dict[str, Any] = {name: () if kind in _OBJECTS else None for name, kind in kinds.items()}
        self._hash = spec.sub(HASH)

    def write(self, changes: Sequence[Change]) -> list[Written]:
        """See `Sink`."""
        emptied, filled = [], []
        for change in changes:
            if change.body is None or (change.found.hash is not None and not change.text.text):
                hash_now = change.text.hash if change.body is not None else None
                emptied.append(_update(change, _json(self._nothing | {self._hash: hash_now})))
            elif change.found.hash is not None and (left := self._left_by(change.body)):
                # What would be left of the earlier text goes first, in a write of its own.
                emptied.append(_update(change, _json(left | {self._hash: None})))
            else:
                filled.append(_update(change, change.body))
        results = self._sender.send(emptied)
        written = []
        for result in results:
            body = result.item.change.body
            if result.reason is None and body is not None and result.item.change.text.text:
                place = result.answer["_seq_no"], result.answer["_primary_term"]
                filled.append(_update(result.item.change, body, *place))
            else:
                written.append(_fate(result))
        return written + [_fate(result) for result in self._sender.send(filled)]

    def _left_by(self, body: bytes) -> dict[str, Any]:
        """What an update with ``body`` would leave of earlier values: objects are merged, and what it lacks stays."""
        return {
            name: nothing
            for name, nothing in self._nothing.items()
            if name in self._objects or f'"{name}":'.encode() not in body
        }


class Sidecar:
    """Whole documents under the same id and routing, with a version that rises with the original's writes.

    One without a text has a document, too: its version keeps a worker that is late from writing an earlier text's.
    """

    def __init__(self, sender: BulkSender) -> None:
        self._sender = sender

    def write(self, changes: Sequence[Change]) -> list[Written]:
        """See `Sink`."""
        items = [_Item(change, _json(_sidecar_action(change)), change.body) for change in changes]
        return [_fate(result) for result in self._sender.send(items)]


class Copy:
    """Whole documents with `F.*` in them, under the same id and routing, with a version as a sidecar's.

    `F.version` of each is the version that it has by that: as long as both agree, nobody else has written it.
    """

    def __init__(self, sender: BulkSender, field: str) -> None:
        self._sender = sender
        self._field = field

    def write(self, changes: Sequence[Change]) -> list[Written]:
        """See `Sink`."""
        items = [_Item(change, _json(_sidecar_action(change)), self._body(change)) for change in changes]
        return [_fate(result) for result in self._sender.send(items)]

    def _body(self, change: Change) -> bytes:
        own = without_field(change.found.source, self._field)
        whole = _json(own | {f"{self._field}.{VERSION}": change.found.version})
        return whole if change.body is None or change.body == b"{}" else whole[:-1] + b"," + change.body[1:]


def _members(spec: FieldSpec) -> dict[str, dict[str, Any]]:
    properties: dict[str, dict[str, Any]] = attached_properties(spec)[spec.field]["properties"]
    return {name: body for name, body in properties.items() if name != HASH}


def _update(change: Change, body: bytes, seq_no: int | None = None, primary_term: int | None = None) -> _Item:
    found = change.found
    guard = {
        "if_seq_no": found.seq_no if seq_no is None else seq_no,
        "if_primary_term": found.primary_term if primary_term is None else primary_term,
    }
    return _Item(change, _json({"update": _place(found) | guard}), b'{"doc":' + body + b"}")


def _sidecar_action(change: Change) -> dict[str, Any]:
    return {"index": _place(change.found) | {"version": change.found.version, "version_type": VERSION_TYPE}}


def _place(found: Found) -> dict[str, Any]:
    return {"_id": found.doc_id} | ({"routing": found.routing} if found.routing is not None else {})


def _fate(result: Result[_Item]) -> Written:
    change = result.item.change
    if result.reason is None:
        return Written(change, Fate.WRITTEN)
    if result.status == _CONFLICT:
        return Written(change, Fate.CONFLICT)
    if result.status == _NOT_FOUND:
        return Written(change, Fate.GONE)
    return Written(change, Fate.REFUSED, result.reason)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
