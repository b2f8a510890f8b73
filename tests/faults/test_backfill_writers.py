"""Users write, update and delete all the while: none of it is lost or reverted, and nothing is stale at last."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import Any

import pytest
from attached_texts import attach, check_filled, filler, make_index, put
from fault_table import FaultRow
from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError
from scale import SEED
from scale import USERS_DOCUMENTS as COUNT

from opensearch_multivector.indexing.backfill import status_of
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Mode

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.fault("writers")]

PER_SECOND = 50


class Users:
    """A thread of writes, each to a document at random; ``documents`` is what they have, as the cluster agreed."""

    def __init__(self, client: OpenSearch, index: str, documents: dict[str, dict[str, Any]]) -> None:
        self._client = client
        self._index = index
        self.documents = {doc_id: dict(body) for doc_id, body in documents.items()}
        self._ids = sorted(documents)
        self.done: Counter[str] = Counter()
        self.error: BaseException | None = None
        self._random = random.Random(SEED)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._started = time.monotonic()
        self.seconds = 0.0

    def __enter__(self) -> Users:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.seconds = time.monotonic() - self._started

    def _work(self) -> None:
        due = time.monotonic()
        try:
            while not self._stop.is_set():
                due += 1 / PER_SECOND
                self._stop.wait(due - time.monotonic())
                self._write()
        except BaseException as error:
            self.error = error

    def _write(self) -> None:
        number = sum(self.done.values())
        what = self._random.choices(["text", "price", "anew", "delete", "add"], [4, 2, 2, 1, 1])[0]
        doc_id = self._random.choice(self._ids)
        self.done[what] += 1
        if what == "text":
            self._update(doc_id, {"text": f"update{number} of{number % 9}"})
        elif what == "price":
            self._update(doc_id, {"price": number})
        elif what == "delete":
            self._client.delete(index=self._index, id=doc_id)
            del self.documents[doc_id]
            self._ids.remove(doc_id)
        else:
            doc_id = doc_id if what == "anew" else f"n{number}"
            body = {"text": f"anew{number}", "price": number}
            # A refresh now and then brings writes into the midst of what is being read.
            self._client.index(
                index=self._index, id=doc_id, body=body, params={"refresh": str(number % 5 == 0).lower()}
            )
            if doc_id not in self.documents:
                self._ids.append(doc_id)
            self.documents[doc_id] = body

    def _update(self, doc_id: str, changes: dict[str, Any]) -> None:
        # An update reads and writes: as any application's, it may meet another's write and is repeated.
        try:
            self._client.update(index=self._index, id=doc_id, body={"doc": changes}, params={"retry_on_conflict": 5})
        except NotFoundError as error:
            raise AssertionError(f"document {doc_id} of the users is gone, seed {SEED}") from error
        self.documents[doc_id] |= changes


@pytest.mark.parametrize("mode", [IN_PLACE, SIDECAR])
def test_users_write_during_a_backfill(mode: Mode, client: OpenSearch, index_name: str, fault_row: FaultRow) -> None:
    make_index(client, index_name, shards=2)
    documents = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(COUNT)}
    put(client, index_name, documents)
    attachment = attach(client, index_name, mode)
    try:
        running = filler(client, index_name, seconds=0.004, workers=2)
        with Users(client, index_name, documents) as users:
            for _ in range(3):
                running.round()
        assert users.error is None, f"seed {SEED}: {users.error!r}"
        assert users.done.keys() == {"text", "price", "anew", "delete", "add"}
        summary = running.summary(finished=True)
        assert running.round()
        check_filled(client, attachment, users.documents)
        status = status_of(client, index_name, verify=True)
        assert (status.stale, status.missing, status.orphaned, status.failed) == (0, 0, 0, 0), f"seed {SEED}"
        assert summary.refused == 0
        seconds, writes = users.seconds, sum(users.done.values())
        fault_row.counts.update(documents=COUNT, writes=writes, conflicts=summary.conflicts)
        fault_row.figure("writes/s", writes / seconds)
    finally:
        if mode == SIDECAR:
            client.indices.delete(index=attachment.target)
