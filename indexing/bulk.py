"""`_bulk` requests: built, sent with back-off, and read item by item. Only what was refused is sent again."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as OpenSearchConnectionError
from opensearchpy.exceptions import OpenSearchException, SSLError, TransportError
from tenacity import Retrying

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing.patience import BLOCKED, Waiting, retrying
from opensearch_multivector.indexing.versions import VERSION_TYPE, explain_conflict, version_of
from opensearch_multivector.plugin.cluster_errors import describe
from opensearch_multivector.plugin.passing_errors import is_the_shards, may_pass

_TOO_LARGE_OR_BAD = frozenset({400, 413})
_BLOCKED = frozenset({401, 403})
_CONFLICT = 409
_NOT_FOUND = 404


class Item(Protocol):
    """One operation of a bulk request."""

    def lines(self) -> bytes:
        """What is sent: the action line and, but for a deletion, the document's line, each with its newline."""

    def conflict(self, reason: str) -> str:
        """What it means for people that the cluster has answered 409 with that reason."""


@dataclass(frozen=True, slots=True)
class BulkItem:
    """A document on its way: ``body`` is one JSON object without a newline; ``epoch``: of the run."""

    line: int
    doc_id: str
    body: bytes
    epoch: int

    def lines(self) -> bytes:
        """See `Item`."""
        meta = {"_id": self.doc_id, "version": version_of(self.epoch, self.line), "version_type": VERSION_TYPE}
        return b"".join((json.dumps({"index": meta}).encode(), b"\n", self.body, b"\n"))

    def conflict(self, reason: str) -> str:
        """See `Item`."""
        return explain_conflict(reason, self.epoch)


AnItem = TypeVar("AnItem", bound=Item)


@dataclass(frozen=True, slots=True)
class Result(Generic[AnItem]):
    """What became of an item, for good: done (``reason`` None) or refused. ``answer``: the cluster's, if any."""

    item: AnItem
    reason: str | None = None
    answer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status of the item; 0 where the request that held it was refused."""
        return int(self.answer.get("status", 0))


class _BusyError(Exception):
    """The cluster did not take something now, but may later."""


def bulk_body(items: Sequence[Item]) -> bytes:
    """The body of a `_bulk` request."""
    return b"".join(item.lines() for item in items)


def read_response(
    items: Sequence[AnItem], response: dict[str, Any], blocks_pass: bool = False
) -> tuple[list[Result[AnItem]], list[AnItem], str]:
    """Results, the items to send again, and why the last of those was put off. ``blocks_pass``: see `BulkSender`.

    Raises ClusterError on what no repetition would mend and what is no document's fault.
    """
    results: list[Result[AnItem]] = []
    again: list[AnItem] = []
    busy = ""
    for item, answer in zip(items, response["items"], strict=True):
        ((_, outcome),) = answer.items()
        status, error = outcome["status"], outcome.get("error")
        if error is None:  # also a deletion of what is not there, which is a 404
            results.append(Result(item, answer=outcome))
            continue
        reason = _reason(error)
        if is_the_shards(status, error) or (blocks_pass and error.get("type") == BLOCKED):
            again.append(item)
            busy = reason
        elif status == _CONFLICT:
            results.append(Result(item, item.conflict(reason), outcome))
        elif status in _BLOCKED or (status == _NOT_FOUND and error.get("type") != "document_missing_exception"):
            raise ClusterError(f"the cluster refuses to write (status {status}): {reason}")
        else:
            results.append(Result(item, reason, outcome))
    return results, again, busy


class BulkSender:
    """Sends batches; safe to use from several threads.

    ``patience``: seconds for which a batch is tried again while the cluster is busy or out of reach, with exponential
    back-off. ``stop``: once set, no further waiting. ``blocks_pass``: a block against writing is waited for as well.
    ``waiting``: is told why, before each wait. Items may be sent twice where an answer gets lost: their versions make
    that harmless.
    """

    def __init__(
        self,
        client: OpenSearch,
        index: str,
        *,
        patience: float = 300,
        stop: threading.Event,
        blocks_pass: bool = False,
        waiting: Waiting | None = None,
    ) -> None:
        self._client = client
        self._index = index
        self._patience = patience
        self._stop = stop
        self._blocks_pass = blocks_pass
        self._waiting = waiting

    def send(self, items: Sequence[AnItem]) -> list[Result[AnItem]]:
        """Send until each item is indexed or refused for good. Raises ClusterError when patience runs out."""
        results: list[Result[AnItem]] = []
        if not items:
            return results
        waiting = list(items)
        try:
            for attempt in self._tries():
                with attempt:
                    done, waiting, busy = self._try(waiting)
                    results += done
                    if waiting:
                        raise _BusyError(busy)
        except _BusyError as error:
            raise ClusterError(
                f"the cluster has not taken {len(waiting)} documents in {self._patience:.0f} s: {error}"
            ) from None
        return results

    def _tries(self) -> Retrying:
        return retrying(self._patience, self._stop, lambda error: isinstance(error, _BusyError), self._waiting)

    def _try(self, items: list[AnItem]) -> tuple[list[Result[AnItem]], list[AnItem], str]:
        body = bulk_body(items)
        try:
            response = self._client.bulk(body=body, index=self._index)
        except SSLError as error:
            raise ClusterError(describe(error)) from error
        except OpenSearchConnectionError as error:
            return [], items, describe(error)
        except TransportError as error:
            if may_pass(error) or (self._blocks_pass and error.error == BLOCKED):
                return [], items, describe(error)
            if error.status_code not in _TOO_LARGE_OR_BAD:
                raise ClusterError(describe(error)) from error
            if len(items) == 1:
                return [Result(items[0], f"{describe(error)} ({len(body):,} bytes)")], [], ""
            # One document among them is the cause: halving finds it, and makes what was too large small enough.
            middle = len(items) // 2
            first, second = self._try(items[:middle]), self._try(items[middle:])
            return first[0] + second[0], first[1] + second[1], first[2] or second[2]
        except OpenSearchException as error:
            raise ClusterError(describe(error)) from error
        return read_response(items, response, self._blocks_pass)


def _reason(error: dict[str, Any]) -> str:
    """OpenSearch's reason with its innermost cause, where the field at fault is named."""
    reason = str(error.get("reason") or error.get("type"))
    cause = error.get("caused_by")
    while cause:
        inner, cause = str(cause.get("reason") or cause.get("type")), cause.get("caused_by")
        if inner not in reason:
            reason += f": {inner}"
    return reason
