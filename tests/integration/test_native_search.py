"""The rerank `native` on the real node: the scores and rankings of `client`, whatever finds the candidates."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from node_under_test import needs_native
from opensearchpy import OpenSearch
from same_hits import assert_all_same
from small_index import SmallIndex, make_index, make_query
from test_fusion import Watched
from typer.testing import CliRunner

from opensearch_multivector.cli.main import app
from opensearch_multivector.encoding.codecs import CODECS, encode_blob
from opensearch_multivector.errors import MismatchError
from opensearch_multivector.plugin.connection import connect_async
from opensearch_multivector.plugin.engine import Engine, ask_engine, ask_engine_async
from opensearch_multivector.plugin.probe import NATIVE, probe
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.first_stages import FIRST_STAGES
from opensearch_multivector.queries.results import Hit
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [
    pytest.mark.integration,
    needs_native,
]

QUERY = make_query()
STAGES = [*(name for name in FIRST_STAGES if name != "seismic"), "bm25+dense", "0.3*bm25+0.7*slim", "bm25+dense+codes"]


def searched(searcher: Searcher, rerank: str | None, query: Any = QUERY, **options: Any) -> list[Hit]:
    return searcher.search(query, rerank=rerank, **({"size": 60} | options)).hits


def by_key(hits: list[Hit]) -> dict[tuple[str, str], float]:
    return {(hit.index, hit.doc_id): hit.score for hit in hits}


def assert_same(native: list[Hit], client: list[Hit], atol: float = 1e-5) -> None:
    """The same documents with the same scores, best first."""
    assert by_key(native) == pytest.approx(by_key(client), abs=atol)
    scores = [hit.score for hit in native]
    assert scores == sorted(scores, reverse=True)


@pytest.fixture(scope="module", params=[1, 3], ids=["one-shard", "three-shards"])
def small(client: OpenSearch, request: pytest.FixtureRequest) -> Iterator[SmallIndex]:
    name = f"osmv-test-native-{request.param}"
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    yield make_index(client, name, codec="int8", shards=request.param)
    client.indices.delete(index=name)


@pytest.fixture
def searcher(client: OpenSearch, small: SmallIndex) -> Searcher:
    return Searcher(client, small.name)


class TestScores:
    """Document by document the client's."""

    @pytest.mark.parametrize("codec", sorted(CODECS))
    @pytest.mark.parametrize("score", ["sum_max", "max"])
    def test_of_every_codec(self, client: OpenSearch, index_name: str, codec: str, score: str) -> None:
        searcher = Searcher(client, make_index(client, index_name, codec=codec).name)
        # The plugin reads queries of `bit` in four bits a component, off by some .034 per token here.
        atol = 0.034 * 5 * 4 if codec == "bit" else 1e-5
        for seed in range(5):
            query = make_query(seed)
            # Opposite vectors have negative sums, which OpenSearch sees bent into positive scores.
            for asked in (query, replace(query, vectors=-query.vectors)):
                native = searched(searcher, f"native:score={score}", asked)
                assert len(native) == 60
                assert_same(native, searched(searcher, f"client:score={score}", asked), atol)

    @pytest.mark.parametrize("stage", STAGES)
    def test_after_every_first_stage(self, searcher: Searcher, stage: str) -> None:
        assert_same(searched(searcher, "native", first_stage=stage), searched(searcher, "client", first_stage=stage))

    def test_with_the_querys_first_vectors(self, searcher: Searcher) -> None:
        assert_same(searched(searcher, "native:first=2"), searched(searcher, "client:first=2"))

    def test_the_explanation_adds_up(self, searcher: Searcher) -> None:
        for hit in searched(searcher, "native", size=5, explain=True):
            assert sum(match.similarity for match in hit.matches) == pytest.approx(hit.score, rel=1e-5)


class TestOptions:
    """What a search takes beside its rerank."""

    @pytest.mark.parametrize("stage", ["dense", "bm25+dense"])
    @pytest.mark.parametrize(
        "options",
        [
            {"filter": {"term": {"group": "odd"}}},
            {"min_score": 3.9},
            {"size": 7, "offset": 13},
            {"size": 5, "window_size": 100},
            {"size": 10, "source": ["title"]},
            {"routing": "d001"},
            {"size": 0},
        ],
        ids=lambda options: next(iter(options)),
    )
    def test_give_what_they_give_client(self, searcher: Searcher, stage: str, options: dict[str, Any]) -> None:
        native, client = (searched(searcher, rerank, first_stage=stage, **options) for rerank in ("native", "client"))
        assert_same(native, client)
        assert [(hit.doc_id, hit.source) for hit in native] == [(hit.doc_id, hit.source) for hit in client]

    def test_a_tenant_is_kept_to(self, client: OpenSearch, small: SmallIndex) -> None:
        searcher = Searcher(client, small.name, tenant={"term": {"group": "even"}})
        hits = searched(searcher, "native", filter={"match_all": {}})
        assert {hit.doc_id for hit in hits} == {doc_id for doc_id, group in small.groups.items() if group == "even"}

    def test_an_alias_over_two_indices_keeps_equal_ids_apart(self, client: OpenSearch, index_name: str) -> None:
        for suffix in ("a", "b"):
            part = make_index(client, f"{index_name}-{suffix}", count=5)
        part.put(np.random.default_rng(99), list(part.vectors))
        client.indices.put_alias(index=f"{index_name}-*", name=f"{index_name}-both")
        searcher = Searcher(client, f"{index_name}-both")
        for stage in ("dense", "bm25+dense"):
            hits = searched(searcher, "native", first_stage=stage)
            assert len(hits) == 10
            assert_same(hits, searched(searcher, "client", first_stage=stage))
            assert all(hit.source["title"] == hit.doc_id for hit in hits)

    async def test_one_by_one_in_batches_and_side_by_side(self, node_url: str, searcher: Searcher) -> None:
        queries = [make_query(seed) for seed in range(6)]
        async with connect_async(node_url) as async_client:
            async_searcher = await AsyncSearcher.open(async_client, searcher.index)
            for stage in ("dense", "bm25+slim"):
                options = {"first_stage": stage, "rerank": "native", "size": 12}
                one_by_one = [searcher.search(query, **options).hits for query in queries]
                assert_all_same(searcher.search_many(queries, **options), one_by_one)
                assert_all_same(await async_searcher.search_many(queries, **options), one_by_one)

    def test_on_the_command_line(self, node_url: str, small: SmallIndex, tmp_path: Path) -> None:
        np.save(tmp_path / "query.npy", QUERY.vectors)
        found = {}
        for rerank in ("native", "client"):
            options = ["--index", small.name, "--query-vectors", str(tmp_path / "query.npy"), "--rerank", rerank]
            result = CliRunner().invoke(app, ["search", "--url", node_url, *options, "--json"])
            assert result.exit_code == 0, result.output
            found[rerank] = {hit["doc_id"]: hit["score"] for hit in json.loads(result.stdout)["hits"]}
        assert found["native"] == pytest.approx(found["client"], abs=1e-5)


class TestTwoLevels:
    """`bit` and the stored codec in one request."""

    def test_the_chain_scores_the_best_of_bit_in_one_request(self, node_url: str, small: SmallIndex) -> None:
        with OpenSearch(node_url, transport_class=Watched, timeout=60) as watched:
            searcher = Searcher(watched, small.name)
            hits = searched(searcher, "bit:keep=15>native", size=15, source=False)
            assert watched.transport.searches == 1
        full = by_key(searched(searcher, "client"))
        assert by_key(hits) == pytest.approx({key: full[key] for key in by_key(hits)}, abs=1e-5)
        vectors = base64.b64encode(encode_blob(QUERY.vectors, "f32")).decode()
        bits = {"maxsim": {"field": "mv.bits", "query_vectors": vectors}}
        (shards,) = small.client.indices.get_settings(index=small.name).values()
        best = small.client.search(index=small.name, body={"query": bits, "size": 15, "_source": False})["hits"]["hits"]
        if shards["settings"]["index"]["number_of_shards"] == "1":
            assert {hit.doc_id for hit in hits} == {hit["_id"] for hit in best}
        else:  # every shard scores 15 of its own, among which are the best of all
            assert hits[0].score >= max(full[small.name, hit["_id"]] for hit in best) - 1e-5
        assert len(hits) == 15

    def test_after_a_fusion_and_before_another_rerank(self, searcher: Searcher) -> None:
        for rerank in ("bit:keep=20>native", "native:bits=20", "bit:keep=20>native:keep=20>client"):
            hits = searched(searcher, rerank, first_stage="bm25+dense", size=20)
            full = by_key(searched(searcher, "client"))
            assert len(hits) == 20
            assert by_key(hits) == pytest.approx({key: full[key] for key in by_key(hits)}, abs=1e-5)
            assert searcher.search(QUERY, rerank=rerank, first_stage="bm25+dense", size=20).skipped == {}


class TestChanges:
    """Documents that come, change, go, or can't be read."""

    def test_each_is_seen_by_the_next_search_after_a_refresh(self, client: OpenSearch, index_name: str) -> None:
        small = make_index(client, index_name, count=20, shards=1)
        searcher = Searcher(client, index_name)
        refresh = {"refresh": "true"}
        small.put(np.random.default_rng(1), ["d003", "new"])
        assert_same(searched(searcher, "native"), searched(searcher, "client"))
        small.vectors["new"] = QUERY.vectors
        client.index(index=index_name, id="new", body=small.body("new"), params=refresh)
        for stage in ("dense", "bm25+dense"):
            best = searched(searcher, "native", first_stage=stage)[0]
            assert (best.doc_id, best.score) == ("new", pytest.approx(len(QUERY.vectors), abs=1e-5))
        client.delete(index=index_name, id="new", params=refresh)
        assert "new" not in {hit.doc_id for hit in searched(searcher, "native")}

    def test_damaged_and_missing_vectors_cost_their_document_alone(self, client: OpenSearch, index_name: str) -> None:
        small = make_index(client, index_name, count=20)
        whole = base64.b64decode(small.body("d000")["mv.vectors"])
        damaged = {
            "d000": whole[:-3],
            "d001": whole[:20] + b"\xff\xff" + whole[22:],
            "d002": None,
            "d003": whole[:4] + b"\x63" + whole[5:],
            "d004": b"\x00",
            "d005": b"not a blob at all, and longer than a header",
        }
        for doc_id, blob in damaged.items():
            body = small.body(doc_id) | {"mv.vectors": base64.b64encode(blob).decode() if blob is not None else None}
            client.index(index=index_name, id=doc_id, body=body, params={"refresh": "true"})
        searcher = Searcher(client, index_name)
        for stage in ("dense", "bm25+dense"):
            for rerank in ("native", "native:bits=20"):
                result = searcher.search(QUERY, first_stage=stage, rerank=rerank, size=20)
                assert len(result.hits) == 14
                assert set(result.skipped) == set(damaged)
                assert all("no token vectors" in reason for reason in result.skipped.values())
            assert_same(result.hits, searched(searcher, "client", first_stage=stage, size=20))

    def test_a_blob_of_another_dimension_is_named(self, client: OpenSearch, index_name: str) -> None:
        small = make_index(client, index_name, count=5)
        body = small.body("d003")
        body["mv.vectors"] = base64.b64encode(encode_blob(np.ones((2, 7), np.float32), "int8")).decode()
        client.index(index=index_name, id="d003", body=body, params={"refresh": "true"})
        searcher = Searcher(client, index_name)
        for search in (searcher.search, lambda query, **options: searcher.search_many([query], **options)):
            with pytest.raises(MismatchError, match="have 16 dimensions, the stored ones 7"):
                search(QUERY, rerank="native")


class TestAuto:
    """`native` where it can be, else `client`."""

    async def test_what_is_asked(self, client: OpenSearch, node_url: str, small: SmallIndex) -> None:
        assert ask_engine(client, small.name).scores
        async with connect_async(node_url) as async_client:
            assert (await ask_engine_async(async_client, small.name)).scores

    def test_is_native_with_the_plugin_and_client_without(self, searcher: Searcher) -> None:
        # `client` says which document has what first score; a rescored first stage's are gone.
        assert all(hit.first_stage_score is None for hit in searcher.search(QUERY).hits)
        searcher._descriptions.learn(searcher._descriptions.current, Engine(scores=False))
        assert all(hit.first_stage_score is not None for hit in searcher.search(QUERY).hits)

    def test_the_probe_finds_the_plugin_and_its_kernel(self, client: OpenSearch) -> None:
        found = probe(client)
        assert found.has_plugin(NATIVE)
        assert found.native is not None
        assert all(node.version and node.kernel for node in found.native)
        assert len(found.native) == found.nodes
