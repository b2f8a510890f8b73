"""LIMIT-small through the installed command: real models, real node, real documents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders import MINILM_INT8, checkpoints, load_encoder
from opensearch_multivector.errors import MismatchError
from opensearch_multivector.queries.searcher import Searcher

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "limit-small"
INDEX = "osmv-test-limit"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the LIMIT-small data is not at {FOLDER}"),
    pytest.mark.skipif(not checkpoints.installed("torch"), reason="the extra torch is not installed"),
]


def osmv(node_url: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "opensearch_multivector.cli.main", *arguments]
    environment = os.environ | {"OSMV_URL": node_url, "NO_COLOR": "1", "COLUMNS": "160"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def summary(client: OpenSearch, node_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    client.indices.delete(index=INDEX, ignore_unavailable=True)
    letters = tmp_path_factory.mktemp("limit") / "limit.dead.jsonl"
    yield json.loads(osmv(node_url, "index", str(FOLDER), "--index", INDEX, "--dead-letters", str(letters), "--json"))
    client.indices.delete(index=INDEX, ignore_unavailable=True)


def test_the_summary_adds_up(summary: dict[str, Any], client: OpenSearch) -> None:
    assert (summary["read"], summary["indexed"], summary["rejected"]) == (46, 46, 0)
    assert client.count(index=INDEX)["count"] == 46


@pytest.mark.usefixtures("summary")
def test_one_vector_fails_where_late_interaction_succeeds(node_url: str, tmp_path: Path) -> None:
    names = ["bm25", "dense", "slim:bound=fused", "dense/client"]
    configurations = [word for name in names for word in ("--config", name)]
    options = ["--size", "46", "--window-size", "46", "--latency-topics", "5", "--runs-dir", str(tmp_path), "--json"]
    printed = json.loads(osmv(node_url, "eval", str(FOLDER), "--index", INDEX, *configurations, *options))
    ndcg = {row["name"]: row["measures"]["nDCG@10"] for row in printed["configurations"]}
    assert ndcg["dense"] == pytest.approx(0.31, abs=0.03)
    assert ndcg["dense/client"] >= 0.98
    assert ndcg["bm25"] >= 0.99
    assert ndcg["slim:bound=fused"] >= 0.92
    for name in names:
        lines = (tmp_path / f"{name.replace('/', '.')}.trec").read_text().splitlines()
        assert len({line.split()[0] for line in lines}) == 1000


@pytest.mark.usefixtures("summary")
def test_a_search_shows_which_words_matched(client: OpenSearch, node_url: str) -> None:
    query = "Who likes Quokkas?"
    searcher = Searcher(client, INDEX)
    (hit,) = searcher.search(query, size=1, window_size=46, explain=True).hits
    assert hit.matches is not None
    text = searcher.spec.text_of(hit.source)
    by_query_token = {match.query_token: match for match in hit.matches if match.query_span}
    for match in hit.matches:
        if match.query_span and match.document_span:
            assert query[slice(*match.query_span)] == match.query_token
            assert text[slice(*match.document_span)] == match.document_token
    assert by_query_token["likes"].document_token == "likes"
    assert sum(match.similarity for match in hit.matches) == pytest.approx(hit.score, rel=1e-5)
    printed = osmv(node_url, "search", query, "--index", INDEX, "--size", "1", "--window-size", "46", "--explain")
    assert hit.doc_id in printed
    assert "likes → likes" in printed


@pytest.mark.usefixtures("summary")
def test_another_encoder_is_refused(client: OpenSearch) -> None:
    with pytest.raises(MismatchError, match=r"not with 'all-MiniLM-L6-v2-int8'"):
        Searcher(client, INDEX, encoder=load_encoder(MINILM_INT8))
