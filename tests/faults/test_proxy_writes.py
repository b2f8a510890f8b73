"""Attaching, filling, indexing and detaching through a bad network: done, or refused in a sentence and done later.

The same call goes on from wherever it was left, and the documents are their users' all the while.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attached_texts import WordEncoder, check_filled, make_index, own_documents, put
from bad_days import KINDS, Storm
from fault_table import FaultRow
from flaky_proxy import flaky_proxy
from opensearchpy import OpenSearch
from scale import LONG, SEED, scale

from opensearch_multivector.errors import OsmvError
from opensearch_multivector.indexing import Limits, index_documents
from opensearch_multivector.indexing.attach.apply import attach
from opensearch_multivector.indexing.attach.detach import detach
from opensearch_multivector.indexing.attach.wanted import Wanted
from opensearch_multivector.indexing.backfill import Filler, Pace, status_of
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Mode, find_attachment, get_attachment
from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.plugin.sub_fields import Slim

pytestmark = [pytest.mark.integration, pytest.mark.fault("proxy")]

COUNT = scale(40, 300)
SHARE = 0.15
TRIES = scale(3, 8)  # through the proxy, before the network is well again
PATIENCE = scale(1, 2)
# `too_late` costs the seconds that the client waits.
# In the short form one of them, by the seed.
MODES = [IN_PLACE, SIDECAR] if LONG else [(IN_PLACE, SIDECAR)[SEED % 2]]
STORMS = [(kind,) for kind in KINDS] if LONG else [tuple(kind for kind in KINDS if kind != "too_late")]
# What a bulk request is sent again after, so that a run comes through in the midst of it.
PASSING = ("latency", "reset", "answer_lost", "bad_gateway", "busy", "unavailable")


class BadNetwork:
    """Calls through the proxy until one comes through; what it said of the others is kept."""

    def __init__(
        self, node_url: str, kinds: tuple[str, ...], row: FaultRow, watched: tuple[str, ...] | None = None
    ) -> None:
        self._node_url = node_url
        self._kinds = kinds
        self._row = row
        self._watched = watched
        self._seed = SEED

    def __call__(self, what: str, call: Callable[[OpenSearch], Any]) -> Any:
        for number in range(TRIES + 1):
            self._seed += 1
            storm = Storm(self._seed, SHARE, self._kinds, calm=number == TRIES)
            try:
                with (
                    flaky_proxy(self._node_url, storm, self._watched) as proxy,
                    connect(proxy.url, timeout=1) as client,
                ):
                    return call(client)
            except OsmvError as error:
                sentence = str(error)
            finally:
                self._row.counts["faults"] += storm.struck.total()
            assert sentence, what
            assert "\n" not in sentence, what
            self._row.counts[f"{what} refused in a sentence"] += 1
        raise AssertionError(f"{what} fails without faults, too, seed {SEED}")


@pytest.mark.parametrize("kinds", STORMS, ids=lambda kinds: kinds[0] if len(kinds) == 1 else f"{len(kinds)} kinds")
@pytest.mark.parametrize("mode", MODES)
def test_attach_fill_and_detach(
    mode: Mode, kinds: tuple[str, ...], node_url: str, client: OpenSearch, index_name: str, fault_row: FaultRow
) -> None:
    through = BadNetwork(node_url, kinds, fault_row)
    encoder = WordEncoder()
    wanted = Wanted(("text",), encoder, encoder, "f32", sub_fields=(Slim(),))
    pace = Pace(batch=16, page=20, unit=40, patience=PATIENCE, lease_seconds=1.0)
    make_index(client, index_name)
    documents: dict[str, dict[str, Any]] = {f"d{i}": {"text": f"one{i} two{i % 7}", "price": i} for i in range(COUNT)}
    put(client, index_name, documents)

    def fill(flaky: OpenSearch) -> None:
        filler = Filler(flaky, index_name, encoder=encoder, term_encoder=encoder, pace=pace)
        assert filler.backfill().refused == 0

    def take_away(flaky: OpenSearch) -> None:
        # Done, and the answer lost: then there is nothing any more.
        if find_attachment(client, index_name, "mv"):
            detach(flaky, index_name, patience=PATIENCE)

    try:
        through("attach", lambda flaky: attach(flaky, index_name, wanted, mode))
        attachment = get_attachment(client, index_name, "mv")
        through("backfill", fill)
        check_filled(client, attachment, documents)
        status = through("status", lambda flaky: status_of(flaky, index_name, verify=True))
        assert (status.covered, status.missing, status.stale, status.orphaned) == (COUNT, 0, 0, 0), f"seed {SEED}"
        through("detach", take_away)
        assert own_documents(client, index_name) == documents
        assert find_attachment(client, index_name, "mv") is None
        hits = client.search(index=index_name, body={"size": 1_000})["hits"]["hits"]
        assert {hit["_id"]: hit["_source"] for hit in hits} == documents
        fault_row.counts["documents"] += COUNT
    finally:
        client.indices.delete(index=f"osmv-sidecar-{index_name}-mv", ignore_unavailable=True)


@pytest.mark.parametrize(
    "kinds", [*STORMS, PASSING], ids=lambda kinds: kinds[0] if len(kinds) == 1 else f"{len(kinds)} kinds"
)
def test_index(
    kinds: tuple[str, ...], node_url: str, client: OpenSearch, index_name: str, tmp_path: Path, fault_row: FaultRow
) -> None:
    encoder = WordEncoder()
    rows = [{"id": f"d{i}", "text": f"one{i} two{i % 7}", "price": i} for i in range(COUNT)]

    def index(flaky: OpenSearch) -> None:
        summary = index_documents(
            flaky,
            index_name,
            rows,
            encoder=encoder,
            term_encoder=encoder,
            sub_fields=[Slim()],
            dead_letters=tmp_path / "dead.jsonl",
            limits=Limits(batch=4, bulk_documents=2, patience=10),
        )
        assert (summary.read, summary.indexed, summary.rejected) == (COUNT, COUNT, 0)

    BadNetwork(node_url, kinds, fault_row, ("_bulk",) if kinds == PASSING else None)("index", index)
    client.indices.refresh(index=index_name)
    hits = client.search(index=index_name, body={"size": 1_000, "docvalue_fields": ["mv.vectors"]})["hits"]["hits"]
    assert {hit["_id"]: hit["_source"]["text"] for hit in hits} == {row["id"]: row["text"] for row in rows}
    assert all(hit["fields"]["mv.vectors"] for hit in hits)
    fault_row.counts["documents"] += COUNT
