"""Full disks, blocked indices, mappings changed by others, a codebook that is gone: said clearly, and gone on after."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from attached_texts import PACE, attach, check_filled, filler, make_index, own_documents, put, stored
from opensearchpy import OpenSearch, helpers
from osmv_here import osmv

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing.backfill import BackfillSummary, Filler, status_of, worker
from opensearch_multivector.indexing.backfill.disk import full_disk
from opensearch_multivector.plugin.artifacts import ARTIFACT_INDEX
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Attachment, Mode, update_attachment

pytestmark = [pytest.mark.integration, pytest.mark.fault("blocks")]
MODES: list[Mode] = [IN_PLACE, SIDECAR]
DOCUMENTS: dict[str, dict[str, Any]] = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(90)}
DISK = "cluster.routing.allocation.disk"


@pytest.fixture(autouse=True)
def every_wait_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WORTH_SAYING", 0.1)


@pytest.fixture(params=MODES)
def attachment(request: pytest.FixtureRequest, client: OpenSearch, index_name: str) -> Iterator[Attachment]:
    make_index(client, index_name)
    put(client, index_name, DOCUMENTS)
    made = attach(client, index_name, request.param)
    yield made
    if made.mode == SIDECAR:
        client.indices.delete(index=made.target, ignore_unavailable=True)


@contextmanager
def disk_too_full(client: OpenSearch) -> Iterator[Callable[[], None]]:
    """The high watermark wants more free bytes than any disk has; what it gives lifts that."""
    high = {
        "threshold_enabled": True,
        "watermark.low": "999tb",
        "watermark.high": "998tb",
        "watermark.flood_stage": "1b",
    }
    client.cluster.put_settings(body={"transient": {f"{DISK}.{name}": value for name, value in high.items()}})

    def lift() -> None:
        client.cluster.put_settings(body={"transient": {f"{DISK}.{name}": None for name in high}})

    try:
        yield lift
    finally:
        lift()
        # OpenSearch sets it at the high watermark, and forgets it where the watermarks are turned off meanwhile.
        client.cluster.put_settings(body={"persistent": {"cluster.blocks.create_index": None}})


def wait_for(happened: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Running:
    """A backfill in a thread, and what it says."""

    def __init__(self, made: Callable[..., Filler]) -> None:
        self.said: list[str] = []
        self.summary: BackfillSummary | None = None
        self.error: BaseException | None = None
        self._filler = made(message=self.said.append)
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        try:
            self.summary = self._filler.backfill()
        except BaseException as error:
            self.error = error

    def waits(self, words: str) -> bool:
        assert self.error is None, self.error
        return any("waiting" in said and words in said for said in self.said)

    def written(self) -> int:
        return self._filler.summary(finished=False).written

    def ended(self) -> BackfillSummary:
        self._thread.join(120)
        assert self.error is None, self.error
        assert self.summary is not None
        return self.summary


def test_a_full_disk_is_waited_for(client: OpenSearch, attachment: Attachment) -> None:
    index = attachment.index
    assert full_disk(client, attachment.target) is None
    with disk_too_full(client) as lift:
        running = Running(lambda **options: filler(client, index, **options))
        wait_for(lambda: running.waits("above the high watermark (998tb)"))
        assert all(each.hash is None for each in stored(client, attachment).values())
        # A lease is held, and whoever asks is told what for.
        wait_for(lambda: any("waits_for" in pace for pace in status_of(client, index).paces.values()), 40)
        lift()
        assert running.ended().refused == 0
    assert running.said[-1] == "going on"
    check_filled(client, attachment, DOCUMENTS)


def test_a_disk_that_stays_full_ends_it_and_it_goes_on_later(client: OpenSearch, attachment: Attachment) -> None:
    with disk_too_full(client), pytest.raises(ClusterError, match=r"the disk of node .* above the high") as raised:
        filler(client, attachment.index, pace=replace(PACE, patience=1)).backfill()
    assert raised.value.exit_code == 3
    assert status_of(client, attachment.index).workers == ()
    filler(client, attachment.index).backfill()
    check_filled(client, attachment, DOCUMENTS)


@pytest.mark.parametrize(
    ("attachment", "block"),
    [(IN_PLACE, "write"), (IN_PLACE, "read_only_allow_delete"), (SIDECAR, "read_only")],
    indirect=["attachment"],
)
def test_a_block_in_the_midst_is_waited_for(block: str, client: OpenSearch, attachment: Attachment) -> None:
    index, target = attachment.index, attachment.target
    setting = f"index.blocks.{block}"

    def after_a_page(counts: Any, _documents: int) -> None:
        if counts["written"] and not blocked.is_set():
            client.indices.put_settings(index=target, body={setting: True})
            blocked.set()

    blocked = threading.Event()
    try:
        running = Running(lambda **options: filler(client, index, progress=after_a_page, **options))
        wait_for(lambda: running.waits("block"))
        assert 0 < running.written() < len(DOCUMENTS)
    finally:
        client.indices.put_settings(index=target, body={setting: None})
    summary = running.ended()
    assert (summary.refused, summary.interrupted) == (0, False)
    assert running.said[-1] == "going on"
    check_filled(client, attachment, DOCUMENTS)


def test_a_pause_is_heard_while_it_waits(client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name)
    put(client, index_name, DOCUMENTS)
    attachment = attach(client, index_name, IN_PLACE)
    client.indices.put_settings(index=index_name, body={"index.blocks.write": True})
    running = Running(lambda **options: filler(client, index_name, **options))
    wait_for(lambda: running.waits("block"))
    update_attachment(client, index_name, "mv", paused=True)
    assert running.ended().interrupted
    assert status_of(client, index_name).workers == ()
    client.indices.put_settings(index=index_name, body={"index.blocks.write": None})
    update_attachment(client, index_name, "mv", paused=False)
    filler(client, index_name).backfill()
    check_filled(client, attachment, DOCUMENTS)


@pytest.mark.parametrize(
    ("dynamic", "words"),
    [("strict", "strict|introduction"), ("true", r"Limit of total fields")],
    ids=["strict", "limit"],
)
def test_a_mapping_that_takes_no_document_any_more(
    dynamic: str, words: str, client: OpenSearch, index_name: str
) -> None:
    # Fields that the mapping passed over until now: each partial update, of whatever fields, maps the document anew.
    make_index(client, index_name)
    client.indices.put_mapping(index=index_name, body={"dynamic": "false"})
    documents = {doc_id: body | {f"own{i}": i for i in range(5)} for doc_id, body in DOCUMENTS.items()}
    put(client, index_name, documents)
    attachment = attach(client, index_name, IN_PLACE)
    client.indices.put_mapping(index=index_name, body={"dynamic": dynamic})
    client.indices.put_settings(index=index_name, body={"index.mapping.total_fields.limit": 10})
    with pytest.raises(ClusterError, match=f"refuses one document after the other.*({words})") as raised:
        filler(client, index_name).backfill()
    assert raised.value.exit_code == 3
    assert status_of(client, index_name).failed == 0
    assert own_documents(client, index_name) == documents
    client.indices.put_mapping(index=index_name, body={"dynamic": "true"})
    client.indices.put_settings(index=index_name, body={"index.mapping.total_fields.limit": 1000})
    assert filler(client, index_name).backfill().refused == 0
    check_filled(client, attachment, documents)


def test_a_codebook_that_is_gone_and_comes_back(node_url: str, client: OpenSearch, index_name: str) -> None:
    pytest.importorskip("onnxruntime")
    make_index(client, index_name)
    put(client, index_name, {f"d{i}": {"text": f"text number {i} of {i % 5}"} for i in range(30)})
    client.indices.refresh(index=index_name)
    options = ("--text", "text", "--terms", "none", "--sub-field", "codes", "--mode", "in-place", "--no-backfill")
    assert osmv("attach", index_name, *options, "--url", node_url)[0] == 0
    client.indices.refresh(index=ARTIFACT_INDEX)
    body = client.indices.get(index=ARTIFACT_INDEX)[ARTIFACT_INDEX]
    kept = [
        {"_index": ARTIFACT_INDEX, "_id": hit["_id"], **hit["_source"]}
        for hit in helpers.scan(client, index=ARTIFACT_INDEX)
    ]
    client.indices.delete(index=ARTIFACT_INDEX)
    try:
        code, _, error = osmv("backfill", index_name, "--url", node_url)
        (said,) = filter(None, error.splitlines())
        assert code == 4
        assert "missing, cut or altered in 'osmv-artifacts': restore that index" in said
        # What does not need the codebook works.
        code, output, _ = osmv("status", index_name, "--json", "--url", node_url)
        assert (code, json.loads(output)["missing"]) == (1, 30)
    finally:
        if not client.indices.exists(index=ARTIFACT_INDEX):
            client.indices.create(
                index=ARTIFACT_INDEX, body={"mappings": body["mappings"], "settings": {"index.hidden": True}}
            )
        helpers.bulk(client, kept, refresh=True)
    code, output, _ = osmv("backfill", index_name, "--json", "--url", node_url)
    assert (code, json.loads(output)["written"]) == (0, 30)
