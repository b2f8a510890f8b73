"""Searching an index whose vectors are in a sidecar: hits as of one index."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attached_index import TEXT_FIELDS, AttachedIndex, attachment, ids, index_body
from opensearchpy import OpenSearch
from same_hits import assert_all_same, assert_same_hits, assert_same_ranking, ranking
from small_index import EVERY_RERANK, make_query

from opensearch_multivector.cli.main import run
from opensearch_multivector.errors import ClusterError, InputError, MismatchError
from opensearch_multivector.plugin.attachments import put_attachment, remove_attachment, update_attachment
from opensearch_multivector.plugin.connection import connect_async
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages import FIRST_STAGES
from opensearch_multivector.queries.fusion import reciprocal_rank_fusion
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

QUERY = make_query()
# `seismic` has an index of its own; bm25 and query search the texts; the fusion is OpenSearch's over one shard.
STAGES = [
    *(name for name in FIRST_STAGES if name not in ("seismic", "bm25", "query")),
    "dense+slim",
    "0.3*dense+0.7*codes",
]
RERANKS = [None, *EVERY_RERANK, "bit:keep=20>client", "client:keep=20>client:score=max"]
if "native" in EVERY_RERANK:
    RERANKS += ["bit:keep=20>native", "native:keep=20>client:score=max"]
# Every stage alone and with the usual reranks, every rerank behind a stage, a fusion and scores that are computed here.
PAIRS = [
    (stage, rerank)
    for stage in STAGES
    for rerank in RERANKS
    if stage in ("dense", "dense+slim", "tokens") or rerank in (None, "client", "native")
]


@pytest.mark.parametrize(("stage", "rerank"), PAIRS)
def test_finds_what_one_index_finds(
    stage: str, rerank: str | None, client: OpenSearch, attached: AttachedIndex
) -> None:
    options = {"first_stage": stage, "rerank": rerank, "size": 12, "window_size": 30}
    for extra in ({"offset": 5}, {"filter": {"term": {"group": "odd"}}}, {"source": False, "ties": "docid"}):
        expected = Searcher(client, attached.whole.name).search(QUERY, **options, **extra)
        found = Searcher(client, attached.name).search(QUERY, **options, **extra)
        assert found.hits
        assert_same_ranking(ranking(found.hits), ranking(expected.hits))
        assert (found.total, found.candidates, found.skipped) == (expected.total, expected.candidates, {})
        assert {hit.index for hit in found.hits} == {attached.name}
        for hit in found.hits:
            assert hit.source == ({} if extra.get("source") is False else attached.own(hit.doc_id))
            assert not hit.stale


@pytest.mark.parametrize("stage", ["dense", "bm25", "query+dense", "0.5*bm25+0.5*slim", "tokens"])
@pytest.mark.parametrize("rerank", [None, *EVERY_RERANK])
async def test_sync_async_and_batch_give_the_same(
    stage: str, rerank: str | None, client: OpenSearch, node_url: str, attached: AttachedIndex
) -> None:
    queries = [make_query(seed) for seed in range(6)]
    searcher = Searcher(client, attached.name)
    async with connect_async(node_url) as async_client:
        async_searcher = await AsyncSearcher.open(async_client, attached.name)
        for extra in ({"explain": True}, {"offset": 4, "size": 5}, {"source": False}, {"routing": "odd"}):
            options = {"first_stage": stage, "rerank": rerank, "size": 8} | extra
            one_by_one = [searcher.search(query, **options).hits for query in queries]
            assert all(one_by_one)
            assert_all_same(searcher.search_many(queries, **options), one_by_one)
            assert_all_same(await async_searcher.search_many(queries, **options), one_by_one)


def test_explain_is_that_of_one_index(client: OpenSearch, attached: AttachedIndex) -> None:
    for stage, rerank in (("dense", "client"), ("slim", None), ("bm25", None)):
        expected = Searcher(client, attached.whole.name).search(QUERY, first_stage=stage, rerank=rerank, explain=True)
        found = Searcher(client, attached.name).search(QUERY, first_stage=stage, rerank=rerank, explain=True)
        matches = {hit.doc_id: hit.matches for hit in expected.hits}
        assert all(hit.matches for hit in found.hits)
        if stage == "bm25":
            matches |= {hit.doc_id: hit.matches for hit in found.hits if hit.doc_id not in matches}
        assert {hit.doc_id: hit.matches for hit in found.hits}.items() <= matches.items()


def test_bm25_searches_the_users_own_texts(client: OpenSearch, attached: AttachedIndex) -> None:
    searcher = Searcher(client, attached.name)
    for text in ("term1 term2", "d003 term5"):
        own = client.search(
            index=attached.name,
            body={"query": {"bool": {"should": [{"match": {name: text}} for name in ("title", "text")]}}, "size": 10},
        )
        found = searcher.search(text, first_stage="bm25", rerank=None, size=10)
        assert [hit.score for hit in found.hits] == pytest.approx([hit["_score"] for hit in own["hits"]["hits"]])
        asked = EncodedQuery(dsl={"multi_match": {"query": text, "fields": TEXT_FIELDS, "type": "most_fields"}})
        assert searcher.search(asked, first_stage="query", rerank=None, size=10).hits == found.hits
        both = searcher.search(replace(asked, text=text), first_stage="query+bm25", rerank=None, size=10)
        assert ids(both) == ids(found)
        with pytest.raises(InputError, match="needs the query's dsl"):
            searcher.search(text, first_stage="query", rerank=None)
        with pytest.raises(InputError, match="the query's dsl must be one OpenSearch query clause"):
            searcher.search(EncodedQuery(dsl={}), first_stage="query", rerank=None)
    fused = searcher.search(QUERY, first_stage="bm25+dense", rerank=None, size=40)
    alone = [ids(searcher.search(QUERY, first_stage=stage, rerank=None, size=40)) for stage in ("bm25", "dense")]
    assert [(hit.doc_id, hit.score) for hit in fused.hits] == reciprocal_rank_fusion(alone)[:40]


def test_fusion_in_the_engine_needs_one_index(client: OpenSearch, attached: AttachedIndex) -> None:
    searcher = Searcher(client, attached.name)
    with pytest.raises(InputError, match="texts are searched in index 'osmv-test-attached', all else in its sidecar"):
        searcher.search(QUERY, first_stage="bm25+dense", fusion="engine")
    here = searcher.search(QUERY, first_stage="dense+slim", rerank=None, fusion="client")
    there = searcher.search(QUERY, first_stage="dense+slim", rerank=None, fusion="engine")
    assert ids(here) == ids(there)
    assert [hit.score for hit in here.hits] == pytest.approx([hit.score for hit in there.hits])


def test_routing_leads_to_one_shard_of_both(client: OpenSearch, make: Callable[..., AttachedIndex]) -> None:
    attached = make(count=30, shards=3, routed=True)
    searcher = Searcher(client, attached.name)
    everything = searcher.search(QUERY, size=30)
    assert len(everything.hits) == 30
    assert everything.stale == 0
    for stage in ("dense", "bm25", "bm25+dense", "tokens"):
        for rerank in [None, *EVERY_RERANK]:
            options = {"first_stage": stage, "rerank": rerank, "size": 10, "filter": {"term": {"group": "odd"}}}
            found = searcher.search(QUERY, routing="odd", explain=True, **options)
            assert_same_hits(found.hits, searcher.search(QUERY, explain=True, **options).hits)
            assert found.hits


async def test_the_sidecar_is_found_or_it_is_said_why_not(
    client: OpenSearch, node_url: str, make: Callable[..., AttachedIndex]
) -> None:
    attached = make(count=6)
    name = attached.name

    async def refused(index: str = name, **options: Any) -> str:
        """What both kinds of searcher say."""
        said = []
        with pytest.raises((ClusterError, MismatchError)) as failure:
            Searcher(client, index, **options)
        said.append(str(failure.value))
        async with connect_async(node_url) as async_client:
            with pytest.raises((ClusterError, MismatchError)) as failure:
                await AsyncSearcher.open(async_client, index, **options)
        said.append(str(failure.value))
        assert said[0] == said[1]
        return said[0]

    assert "has no multi-vector field 'other'" in await refused(field="other")
    update_attachment(client, name, "mv", detaching=True)
    assert "is being detached" in await refused()
    put_attachment(client, replace(attachment(client, attached), index_uuid="of-another"))
    assert "was made anew since field 'mv' was attached" in await refused()
    remove_attachment(client, name, "mv")
    assert "has no multi-vector field 'mv'" in await refused()
    assert Searcher(client, name, sidecar=attached.sidecar).search(QUERY).hits
    assert "has no multi-vector field 'mv'" in await refused(sidecar=name)
    assert "'no-such-sidecar' of index" in await refused(sidecar="no-such-sidecar")
    with pytest.raises(ClusterError, match="no index matches 'no-such-index-\\*'"):
        Searcher(client, "no-such-index-*", sidecar=attached.sidecar)
    put_attachment(client, attachment(client, attached))
    client.indices.create(index=f"{name}-second", body=index_body(1))
    client.indices.put_alias(index=f"{name},{name}-second", name=f"{name}-both")
    assert "if they have sidecars, search them one by one" in await refused(f"{name}-both")
    client.indices.delete(index=attached.sidecar)
    assert "is gone: detach it and attach again" in await refused()


def test_commands_search_and_evaluate_it(
    node_url: str,
    attached: AttachedIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def osmv(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["osmv", *arguments, "--url", node_url, "--index", attached.name])
        with pytest.raises(SystemExit) as ended:
            run()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err.replace("\n", " ")

    monkeypatch.chdir(tmp_path)
    assert QUERY.vectors is not None
    np.save("query.npy", QUERY.vectors)
    for options in ([], ["--sidecar", attached.sidecar]):
        code, out, said = osmv("search", "--query-vectors", "query.npy", "--json", *options)
        assert code == 0, said
        hits = json.loads(out)["hits"]
        assert [hit["source"] for hit in hits] == [attached.own(hit["doc_id"]) for hit in hits]
        assert {hit["index"] for hit in hits} == {attached.name}
    own = ("--first-stage", "query", "--query-dsl", '{"term": {"title": "d007"}}')
    for vectors, rerank in (((), "none"), (("--query-vectors", "query.npy"), "client")):
        code, out, said = osmv("search", *vectors, *own, "--rerank", rerank, "--json")
        assert (code, [hit["doc_id"] for hit in json.loads(out)["hits"]]) == (0, ["d007"]), said
    code, _, said = osmv("search", *own[:3], "[]", "--rerank", "none")
    assert (code, "--query-dsl must be a JSON object" in said) == (2, True)
    code, _, said = osmv("search", "--query-vectors", "query.npy", "--filter", '{"term": {"lang": "en"}}')
    assert (code, "--filter-field lang" in said) == (2, True)
    assert QUERY.pooled is not None
    topic = {"id": "1", "vector": QUERY.pooled.tolist()}
    Path("topics.jsonl").write_text(json.dumps(topic) + "\n", encoding="utf-8")
    Path("qrels.txt").write_text("1 0 d003 1\n", encoding="utf-8")
    files = ("--topics", "topics.jsonl", "--qrels", "qrels.txt")
    code, _, said = osmv("eval", *files, "--config", "dense", "--size", "40", "--json")
    assert code == 0, said
    assert len(Path("runs/dense.trec").read_text(encoding="utf-8").splitlines()) == 40
    header = json.loads(Path("runs/dense.run.json").read_text(encoding="utf-8"))
    assert (header["index"]["name"], header["sidecar"]["name"]) == (attached.name, attached.sidecar)


def test_in_place_nothing_but_bm25_is_other(client: OpenSearch, make: Callable[..., AttachedIndex]) -> None:
    attached = make(count=20, shards=1)
    remove_attachment(client, attached.name, "mv")
    name = f"{attached.name}-in-place"
    (sidecar,) = client.indices.get_mapping(index=attached.sidecar).values()
    body = index_body(1)
    body["settings"]["index.knn"] = True
    client.indices.create(index=name, body=body)
    field = sidecar["mappings"]["properties"]["mv"]
    client.indices.put_mapping(index=name, body={"_meta": sidecar["mappings"]["_meta"], "properties": {"mv": field}})
    lines: list[dict[str, Any]] = []
    for doc_id in attached.whole.vectors:
        lines += [{"index": {"_id": doc_id}}, attached.own(doc_id) | attached.beside(doc_id)]
    assert not client.bulk(index=name, body=lines, params={"refresh": "true"})["errors"]
    searcher = Searcher(client, name)
    for stage in ("dense", "codes", "slim"):
        for rerank in [None, *EVERY_RERANK]:
            options = {"first_stage": stage, "rerank": rerank, "filter": {"term": {"lang": "en"}}}
            expected = Searcher(client, attached.whole.name).search(QUERY, **options | {"filter": None})
            found = searcher.search(QUERY, explain=True, **options)
            assert_same_ranking(ranking(found.hits), ranking(expected.hits))
    query = EncodedQuery(text="d003 term5", vectors=QUERY.vectors, pooled=QUERY.pooled)
    assert ids(searcher.search(query, first_stage="bm25", rerank=None))[0] == "d003"
    assert searcher.search(query, first_stage="bm25+dense", fusion="engine").hits
