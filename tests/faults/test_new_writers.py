"""An index is copied and swapped while users write and search by its alias, and the process is killed now and then."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from attached_texts import check_filled, filler, own_documents, put
from fault_table import FaultRow
from new_index import attach_new, make_aliased, wish
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConflictError
from scale import NEW_DOCUMENTS as COUNT
from scale import NEW_KILLED_DOCUMENTS as KILLED_COUNT
from scale import NEW_KILLS, SEED

from opensearch_multivector.indexing.attach.apply import attach
from opensearch_multivector.indexing.backfill import status_of
from opensearch_multivector.plugin.attachments import IN_PLACE, NEW, TAIL, attachments_of, get_attachment

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WRITERS = 3
PER_SECOND = 50
# Nobody writes the same document again before its last write can have been carried over, if need be by a process that
# was killed and started again.
REST_SECONDS = 5.0
RESTART_SECONDS = 40.0
SCRIPT = Path(__file__).with_name("new_index.py")


class Traffic:
    """Writers, each with documents of its own, and searchers; ``documents``: as the cluster has agreed to them."""

    def __init__(self, url: str, alias: str, documents: dict[str, dict[str, Any]], rest: float = REST_SECONDS) -> None:
        self._rest = rest
        self._client = OpenSearch(url, timeout=60, pool_maxsize=WRITERS + 1)
        self._alias = alias
        self._still = sorted(documents)[: len(documents) // 4]
        written = sorted(documents)[len(self._still) :]
        self._mine = [{name: documents[name] for name in written[number::WRITERS]} for number in range(WRITERS)]
        self._kept = {name: documents[name] for name in self._still}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._guarded(self._write, n)) for n in range(WRITERS)]
        self._threads.append(threading.Thread(target=self._guarded(self._search, 0)))
        self.errors: list[str] = []
        self.conflicts = 0
        self.done: Counter[str] = Counter()

    @property
    def documents(self) -> dict[str, dict[str, Any]]:
        return self._kept | {name: body for each in self._mine for name, body in each.items()}

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._client.close()

    def _guarded(self, work: Any, number: int) -> Any:
        def run() -> None:
            try:
                work(number)
            except BaseException as error:
                self.errors.append(f"{work.__name__} at {time.time():.3f}: {error!r}")

        return run

    def _search(self, _: int) -> None:
        body = {"size": len(self._still), "query": {"ids": {"values": self._still}}, "_source": False}
        while not self._stop.is_set():
            found = self._client.search(index=self._alias, body=body)
            assert found["_shards"]["failed"] == 0
            assert sorted(hit["_id"] for hit in found["hits"]["hits"]) == self._still
            self.done["search"] += 1
            self._stop.wait(0.02)

    def _write(self, number: int) -> None:
        mine, rng = self._mine[number], random.Random(SEED + number)
        at: dict[str, float] = {}
        due, count = time.monotonic(), 0
        while not self._stop.is_set():
            due += WRITERS / PER_SECOND
            self._stop.wait(due - time.monotonic())
            count += 1
            what = rng.choices(["text", "price", "anew", "delete", "add"], [4, 2, 2, 1, 1])[0]
            rested = [name for name in mine if at.get(name, -1e9) < time.monotonic() - self._rest]
            if not rested or what == "add":
                what, name = "add", f"n{number}-{count}"
            else:
                name = rng.choice(rested)
            at[name] = time.monotonic()
            self.done[what] += 1
            if what == "delete":
                self._client.delete(index=self._alias, id=name)
                del mine[name]
            elif what in ("add", "anew"):
                mine[name] = {"text": f"anew{count} of{number}", "price": count}
                self._client.index(index=self._alias, id=name, body=mine[name])
            else:
                change = {"text": f"text{count} of{number}"} if what == "text" else {"price": count}
                try:
                    self._client.update(index=self._alias, id=name, body={"doc": change})
                except ConflictError:
                    # It had read the document in the old index when the alias moved: repeated as after any conflict.
                    self.conflicts += 1
                    self._client.update(index=self._alias, id=name, body={"doc": change})
                mine[name] = mine[name] | change
            assert count < 100_000


def check(client: OpenSearch, alias: str, traffic: Traffic) -> None:
    """All is as the writers left it, and filled, in the new index."""
    assert not traffic.errors, f"seed {SEED}: {traffic.errors}"
    assert traffic.conflicts <= WRITERS
    assert traffic.done.keys() == {"text", "price", "anew", "delete", "add", "search"}
    assert own_documents(client, alias) == traffic.documents, f"seed {SEED}"
    assert filler(client, alias).backfill().refused == 0
    attachment = get_attachment(client, alias)
    assert (attachment.mode, attachment.phase, attachment.index) == (IN_PLACE, "", f"{attachment.source}-mv")
    check_filled(client, attachment, traffic.documents)
    status = status_of(client, alias, verify=True)
    assert (status.missing, status.stale, status.failed) == (0, 0, 0)
    assert attachments_of(client, attachment.source) == ()


@pytest.mark.fault("writers")
@pytest.mark.parametrize("block_writes", [False, True])
def test_nothing_is_lost_and_no_request_fails(
    block_writes: bool, node_url: str, client: OpenSearch, index_name: str, fault_row: FaultRow
) -> None:
    alias = make_aliased(client, index_name)
    documents = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(COUNT)}
    put(client, alias, documents)
    client.indices.refresh(index=alias)
    with Traffic(node_url, alias, documents) as traffic:
        time.sleep(1)
        replaced = attach_new(client, alias, 0.004, block_writes=block_writes, message=lambda m: print(time.time(), m))
        print(replaced)
        time.sleep(1)
    assert replaced is not None
    assert (replaced.both_sides, replaced.refused) == ((), ()), f"seed {SEED}"
    if block_writes:
        blocked = [error for error in traffic.errors if "blocked by" in error]
        assert traffic.errors == blocked
        return
    check(client, alias, traffic)
    fault_row.counts.update(documents=COUNT, writes=traffic.done.total() - traffic.done["search"])
    fault_row.counts.update({"carried over": replaced.written + replaced.deleted, "searches": traffic.done["search"]})


@pytest.mark.fault("kills")
@pytest.mark.parametrize("turn", range(NEW_KILLS // 4))
def test_killed_at_any_moment_it_goes_on(
    turn: int, node_url: str, client: OpenSearch, index_name: str, fault_row: FaultRow
) -> None:
    moments = random.Random(SEED + turn)
    alias = make_aliased(client, index_name)
    documents = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(KILLED_COUNT)}
    put(client, alias, documents)
    client.indices.refresh(index=alias)
    # By what has come to pass, not by the clock: copying, the last round, before and after the aliases have moved.
    goals = ["copying", "swapping", TAIL, "moved"]
    reached: Counter[str] = Counter()
    with Traffic(node_url, alias, documents, RESTART_SECONDS) as traffic:
        for goal in [*goals, ""]:
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT), node_url, alias, "0.004"], stderr=subprocess.PIPE, text=True
            )
            try:
                while process.poll() is None and (not goal or stands(client, index_name) != goal):
                    time.sleep(0.002)
                if process.poll() is None:
                    time.sleep(moments.random() * 0.3)
                    reached[stands(client, index_name)] += 1
                    process.kill()
                elif not goal:
                    assert process.returncode == 0, process.stderr and process.stderr.read()
            finally:
                process.kill()
                process.communicate()
    check(client, alias, traffic)
    assert reached["copying"], reached
    assert reached.total() >= len(goals) - 1, reached
    fault_row.counts.update(documents=KILLED_COUNT, kills=reached.total())


@pytest.mark.fault("kills")
def test_one_that_slept_through_the_swap_overwrites_nothing(
    node_url: str, client: OpenSearch, index_name: str, fault_row: FaultRow
) -> None:
    """It holds a page of the old index, and goes on when users have written the same documents in the new one."""
    alias = make_aliased(client, index_name)
    documents = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(100)}
    put(client, alias, documents)
    attach(client, alias, wish(), NEW)
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("backfill_process.py")), node_url, index_name, "0.05"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while client.count(index=f"{index_name}-mv")["count"] == 0:
            assert process.poll() is None, process.communicate()
            client.indices.refresh(index=f"{index_name}-mv")
        process.send_signal(signal.SIGSTOP)
        assert client.count(index=f"{index_name}-mv")["count"] < 100
        assert attach_new(client, alias)
        for number in range(0, 100, 2):
            client.update(index=alias, id=f"d{number}", body={"doc": {"price": -number}})
            client.delete(index=alias, id=f"d{number + 1}")
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) != 0
        assert own_documents(client, alias) == {f"d{i}": {**documents[f"d{i}"], "price": -i} for i in range(0, 100, 2)}
        fault_row.counts.update({"slept through a swap": 1})
    finally:
        process.kill()
        process.communicate()


def stands(client: OpenSearch, index: str) -> str:
    """How far the copying of an index is."""
    there = attachments_of(client, index)
    if not there:
        return "done" if client.indices.exists(index=f"{index}-mv") else ""
    phase = there[0].phase.partition(":")[0] or "copying"
    if phase == TAIL and not client.indices.exists_alias(index=index, name=f"{index}-all"):
        return "moved"
    return phase
