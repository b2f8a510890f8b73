"""Documents under hostile ids: indexed, attached to in both ways, searched, shown, exported, deleted, detached from."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attached_texts import WordEncoder, attach, filler, make_index, put
from fault_table import FaultRow
from hostile import PIECES, SEED, Trials, text
from opensearchpy import OpenSearch
from rich.cells import cell_len
from scale import HOSTILE_INPUTS

from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.errors import visible
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.indexing.attach.detach import detach
from opensearch_multivector.indexing.backfill import status_of
from opensearch_multivector.plugin.attachments import IN_PLACE, SIDECAR, Mode, sidecar_name
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [pytest.mark.integration, pytest.mark.fault("hostile")]

COUNT = max(40, HOSTILE_INPUTS // 20)
WORDS = [f"word{i}" for i in range(40)]
ODD = [
    "0",
    "-1",
    "1e5",
    "007",
    "null",
    "true",
    "NaN",
    "_",
    "_doc",
    "_search",
    "_all",
    "*",
    "a,b",
    "..",
    "../x",
    "/etc/passwd",
]
ODD += [
    "a" * 512,
    "é" * 256,
    "%2e%2e",
    "a?refresh=true",
    "a#b",
    "a b",
    " a ",
    "\n",
    "\x00",
    "\x1b[2J",
    "'",
    '"',
    "\\",
    "{}",
    "<a>",
    ":bee:",
    "\\[LINK=FILE:///X]",
]


def ids(rng: random.Random, count: int) -> list[str]:
    """Different ids that OpenSearch takes: up to 512 bytes of any characters."""
    found = dict.fromkeys(ODD)
    while len(found) < count:
        made = text(rng, 6).encode("utf-8", "ignore")[:512].decode("utf-8", "ignore")
        made = rng.choice([made, f"{rng.choice(PIECES)}{len(found)}".encode("utf-8", "ignore").decode(), made.upper()])
        if 0 < len(made.encode()) <= 512:
            found[made] = None
    return list(found)


def documents(rng: random.Random) -> dict[str, dict[str, Any]]:
    """A text of a few words each, so that some are nearer to a query than others."""
    return {
        doc_id: {"text": " ".join(rng.choices(WORDS, k=rng.randrange(1, 6))), "price": number}
        for number, doc_id in enumerate(ids(rng, COUNT))
    }


def ranked(given: dict[str, dict[str, Any]], query: str) -> dict[str, float]:
    """MaxSim of each document, in NumPy."""
    encoder = WordEncoder()
    (asked,) = encoder.encode([query], "query")
    stored = encoder.encode([body["text"] for body in given.values()], "document")
    return {doc_id: maxsim(asked.vectors, each.vectors) for doc_id, each in zip(given, stored, strict=True)}


def check_search(trials: Trials, searcher: Searcher, given: dict[str, dict[str, Any]]) -> None:
    """Every document is found under its own id, with its own score and source."""
    query = " ".join(WORDS)
    expected = ranked(given, query)
    for rerank in ("client", "auto"):
        result = searcher.search(query, first_stage="bm25", rerank=rerank, size=len(given), window_size=10_000)
        assert {hit.doc_id for hit in result.hits} == given.keys()
        for hit in result.hits:
            trials.counts["ids: answered"] += 1
            assert hit.score == pytest.approx(expected[hit.doc_id], abs=1e-4), hit.doc_id
            assert hit.source["price"] == given[hit.doc_id]["price"]


@pytest.fixture
def rng() -> random.Random:
    return random.Random(SEED)


@pytest.fixture
def own_index(client: OpenSearch, index_name: str) -> Iterator[str]:
    """A name whose sidecar is deleted, too."""
    yield index_name
    client.indices.delete(index=sidecar_name(index_name), params={"ignore_unavailable": "true"})


@pytest.mark.parametrize("mode", [IN_PLACE, SIDECAR])
def test_attached(client: OpenSearch, own_index: str, mode: Mode, rng: random.Random, fault_row: FaultRow) -> None:
    trials = Trials()
    given = documents(rng)
    make_index(client, own_index)
    put(client, own_index, given)
    attach(client, own_index, mode)
    assert filler(client, own_index).backfill().written == len(given)
    assert status_of(client, own_index, verify=True).complete
    check_search(trials, Searcher(client, own_index, encoder=WordEncoder(), term_encoder=WordEncoder()), given)
    gone = rng.sample(list(given), 10)
    for doc_id in gone:
        client.delete(index=own_index, id=doc_id)
        del given[doc_id]
    filler(client, own_index).backfill()
    assert status_of(client, own_index, verify=True).orphaned == 0
    check_search(trials, Searcher(client, own_index, encoder=WordEncoder(), term_encoder=WordEncoder()), given)
    detach(client, own_index)
    client.indices.refresh(index=own_index)
    hits = client.search(index=own_index, body={"size": 10_000})["hits"]["hits"]
    assert {hit["_id"]: hit["_source"] for hit in hits} == given
    fault_row.counts += Counter({"ids": trials.finish()})


def test_indexed_shown_and_exported(
    client: OpenSearch, index_name: str, node_url: str, rng: random.Random, tmp_path: Path, fault_row: FaultRow
) -> None:
    trials = Trials()
    given = documents(rng)
    records = [{"_id": doc_id, **body} for doc_id, body in given.items()]
    dead = tmp_path / "dead.jsonl"
    done = index_documents(client, index_name, records, encoder=WordEncoder(), codec="f32", dead_letters=dead)
    assert (done.indexed, done.rejected) == (len(given), 0)
    searcher = Searcher(client, index_name, encoder=WordEncoder())
    check_search(trials, searcher, given)

    there = ("--url", node_url, "--index", index_name, "--size", str(len(given)), "--window-size", "10000")
    asked = ("--query-dsl", '{"match_all": {}}', "--first-stage", "query", "--rerank", "none")
    plain = trials.command("ids shown", "search", *there, *asked)
    assert plain is not None
    told = " ".join(plain.stdout.split())
    short = [" ".join(visible(doc_id).split()) for doc_id in given if cell_len(visible(doc_id)) < 60]
    assert [doc_id for doc_id in short if doc_id not in told] == []
    as_json = trials.command("ids shown", "search", *there, *asked, "--json")
    assert as_json is not None
    assert {hit["doc_id"] for hit in json.loads(as_json.stdout)["hits"]} == given.keys()

    out = ("--url", node_url, "--json", "--out", str(tmp_path))
    refused = trials.command("ids exported", "export-vectors", index_name, *out, "--format", "npz")
    assert refused is not None
    assert (refused.returncode, "holds a NUL" in refused.stderr) == (2, True)
    # jsonl holds them all, .npz all others.
    for form in ("jsonl", "npz"):
        if form == "npz":
            for doc_id in [each for each in given if "\0" in each]:
                client.delete(index=index_name, id=doc_id, params={"refresh": "true"})
                del given[doc_id]
        wrote = trials.command("ids exported", "export-vectors", index_name, *out, "--format", form)
        assert wrote is not None
        file = Path(json.loads(wrote.stdout)["file"])
        assert file.parent == tmp_path
        again = f"{index_name}-{form}"
        index_documents(client, again, file, encoder=None, dead_letters=dead)
        client.indices.refresh(index=again)
        hits = client.search(index=again, body={"size": 10_000, "_source": False})["hits"]["hits"]
        assert {hit["_id"] for hit in hits} == given.keys()
    fault_row.counts += Counter({"ids": trials.finish()})
