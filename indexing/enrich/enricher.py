"""What is attached to an index, made by those who write to it: with their own write in place, right after it beside."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from opensearchpy import OpenSearch, helpers

from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.indexing.backfill.beside import beside, has_half_a_pair, text_wanted
from opensearch_multivector.indexing.backfill.load import load_maker, load_spec
from opensearch_multivector.indexing.backfill.reconcile import Orphan
from opensearch_multivector.indexing.backfill.scan import Found
from opensearch_multivector.indexing.backfill.sinks import Change, Sidecar
from opensearch_multivector.indexing.bulk import BulkSender
from opensearch_multivector.indexing.document import Made
from opensearch_multivector.indexing.records import Record
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Attachment, get_attachment
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import DEFAULT_FIELD, without_field

_WHOLE = frozenset({"index", "create"})
_GONE = "deleted"


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as its writer has stored it, with the `_seq_no` of the answer; ``source`` None: it was deleted."""

    doc_id: str
    seq_no: int
    source: Mapping[str, Any] | None
    routing: str | None = None


class Enricher:
    """Makes `F.*` for the writers of an index that a field is attached to; safe to use from several threads.

    The encoders are loaded once. Every ``check_seconds`` it is looked whether the attachment is still the same, and
    MismatchError raised where it is not: then make another Enricher. What can't be encoded is written without `F.*`;
    `osmv follow` comes to it, and `osmv status` names it.
    """

    def __init__(
        self,
        client: OpenSearch,
        index: str,
        field: str = DEFAULT_FIELD,
        *,
        encoder: Encoder | None = None,
        term_encoder: TermEncoder | None = None,
        batch: int = 64,
        check_seconds: float = 10.0,
        patience: float = 60.0,
    ) -> None:
        self.attachment = get_attachment(client, index, field)
        _check_usable(self.attachment)
        self._client = client
        self._index = index
        self._names = frozenset({index, self.attachment.index})
        self._batch = batch
        self._check_seconds = check_seconds
        self._checked_at = time.monotonic()
        self._spec = load_spec(client, self.attachment)
        self._maker = load_maker(self._spec, encoder, term_encoder)
        self._making = threading.Lock()
        self._sender = BulkSender(client, self.attachment.target, patience=patience, stop=threading.Event())

    def enrich(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with `F.*`, to be written whole, as in ``client.index``. Raises as `enrich_many`."""
        (enriched,) = self.enrich_many([document])
        return enriched

    def enrich_many(self, documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Each document with `F.*` of its text; what it had of the field before is dropped.

        Raises InputError where the field is beside the index, MismatchError where the attachment has changed, and
        ClusterError.
        """
        if self.attachment.mode != IN_PLACE:
            raise InputError(
                f"field {self.attachment.field!r} is beside index {self.attachment.index!r}: write the documents as "
                "they are, then call write_sidecar(), or let bulk() do both"
            )
        self._check()
        plain = [without_field(document, self.attachment.field) for document in documents]
        made = self._made([Found("", None, 0, 0, document) for document in plain])
        return [
            document | (json.loads(body) if body is not None else {})
            for document, body in zip(plain, made, strict=True)
        ]

    def enriched_actions(self, actions: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Actions for ``opensearchpy.helpers.bulk`` and its like, the documents of whole writes enriched.

        Partial updates and deletions pass as they are: what is made of a text that a partial update changes is for
        `osmv follow`. So do actions for other indices. Raises as `enrich_many`.
        """
        for batch in _batches(actions, self._batch):
            whole = [i for i, action in enumerate(batch) if self._is_whole(action)]
            enriched = self.enrich_many([_source_of(batch[i]) for i in whole])
            for i, document in zip(whole, enriched, strict=True):
                batch[i] = _with_source(batch[i], document)
            yield from batch

    def write_sidecar(self, stored: Iterable[Stored]) -> dict[str, int]:
        """Write to the sidecar what was just stored in the index; what became of it, by number of documents.

        A sidecar that has a later write of a document keeps that ("conflicts"). Raises InputError where the field is
        in place, MismatchError where the attachment has changed, ClusterError where the sidecar can't be written: the
        index itself has the documents then, and `osmv follow` the work.
        """
        if self.attachment.mode != SIDECAR:
            raise InputError(
                f"field {self.attachment.field!r} is in the documents of {self.attachment.index!r} themselves: write "
                "what enrich() returns"
            )
        counts: Counter[str] = Counter()
        for batch in _batches(stored, self._batch):
            self._check()
            there = [
                Found(each.doc_id, each.routing, each.seq_no, 0, dict(each.source))
                for each in batch
                if each.source is not None
            ]
            gone = [Orphan(each.doc_id, each.routing, each.seq_no + 1) for each in batch if each.source is None]
            made = self._made(there)
            counts["refused"] += made.count(None)
            changes = [
                Change(found, text_wanted(self._spec, self.attachment, found.source), body)
                for found, body in zip(there, made, strict=True)
                if body is not None
            ]
            counts.update(written.fate for written in Sidecar(self._sender).write(changes))
            counts.update(_GONE if result.reason is None else "conflicts" for result in self._sender.send(gone))
        return dict(+counts)

    def bulk(self, actions: Iterable[Mapping[str, Any]]) -> Iterator[tuple[bool, dict[str, Any]]]:
        """``opensearchpy.helpers.streaming_bulk`` to the index, and what is attached to it along with it.

        Yields for each action, in order, whether it succeeded and the answer, and repeats none. In place, documents of
        whole writes go out enriched. Beside, they and deletions are written to the sidecar once the index has them;
        where that can't be done it raises ClusterError. Otherwise it raises as `write_sidecar`.
        """
        for batch in _batches(actions, self._batch):
            sent = list(self.enriched_actions(batch)) if self.attachment.mode == IN_PLACE else batch
            with cluster_errors():
                answers = list(
                    helpers.streaming_bulk(
                        self._client, map(dict, sent), index=self._index, raise_on_error=False, max_retries=0
                    )
                )
            if self.attachment.mode == SIDECAR:
                self.write_sidecar(self._stored(batch, answers))
            yield from answers

    def _stored(
        self, actions: Sequence[Mapping[str, Any]], answers: Sequence[tuple[bool, dict[str, Any]]]
    ) -> Iterator[Stored]:
        for action, (done, answer) in zip(actions, answers, strict=True):
            ((kind, told),) = answer.items()
            if not done or told.get("_index") != self.attachment.index:
                continue
            routing = action.get("routing", action.get("_routing"))
            if kind == "delete":
                yield Stored(told["_id"], told["_seq_no"], None, routing)
            elif kind in _WHOLE:
                yield Stored(told["_id"], told["_seq_no"], _source_of(action), routing)

    def _check(self) -> None:
        """See that the attachment is the one that this was made for, now and then."""
        now = time.monotonic()
        if now - self._checked_at < self._check_seconds:
            return
        attachment = self.attachment
        there = get_attachment(self._client, attachment.index, attachment.field)
        _check_usable(there)
        if (there.made_at, there.fingerprint) != (attachment.made_at, attachment.fingerprint):
            raise MismatchError(
                f"field {attachment.field!r} of index {attachment.index!r} was attached anew meanwhile: make another "
                "Enricher"
            )
        self._checked_at = now

    def _made(self, documents: Sequence[Found]) -> list[bytes | None]:
        """What is stored of each, as a JSON object; None: nothing, or it can't be encoded."""
        made: list[bytes | None] = [None] * len(documents)
        records: dict[int, Record] = {}
        for i, found in enumerate(documents):
            text = text_wanted(self._spec, self.attachment, found.source)
            own = beside(self._spec, self.attachment, found.source, text)
            if text.text and not has_half_a_pair(text.text):
                records[i] = Record(found.doc_id, text.text, own)
            elif not text.text and (text.has_fields or self.attachment.mode == SIDECAR):
                made[i] = own
        if records:
            with self._making:
                outcomes = list(self._maker.make(list(records.values())))
            for i, outcome in zip(records, outcomes, strict=True):
                made[i] = outcome.body if isinstance(outcome, Made) else None
        return made

    def _is_whole(self, action: Mapping[str, Any]) -> bool:
        return action.get("_op_type", "index") in _WHOLE and action.get("_index", self.attachment.index) in self._names


def _check_usable(attachment: Attachment) -> None:
    if attachment.detaching:
        raise MismatchError(f"field {attachment.field!r} of index {attachment.index!r} is being detached")
    if attachment.mode not in (IN_PLACE, SIDECAR):
        raise MismatchError(
            f"field {attachment.field!r} of index {attachment.index!r} is still being attached: wait for `osmv attach`"
        )


def _source_of(action: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a whole write, as opensearch-py takes it from an action."""
    _, document = helpers.expand_action(dict(action))
    return dict(document)


def _with_source(action: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    own = () if "_source" in action else _source_of(action).keys()
    return {key: value for key, value in action.items() if key not in own} | {"_source": document}


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
