"""`codes` and `pq` on the real node: what a run trains and stores, and the stages against plain NumPy."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from ready_documents import load, write
from small_index import unit

from opensearch_multivector.cli.main import run
from opensearch_multivector.encoding.code_terms import code_terms
from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.indexing.fit import codebook_fit
from opensearch_multivector.plugin.artifacts import ARTIFACT_INDEX, load_state
from opensearch_multivector.plugin.mapping import read_spec
from opensearch_multivector.plugin.sub_fields import Codes, Pq
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

DIM = 16
BOTH = (Codes(centroids=48), Pq(parts=4, centroids=20))


def vectors_of(number: int, kind: int = 0) -> np.ndarray:
    """Tokens around a few directions; ``kind`` says which few."""
    directions = np.random.default_rng(1000 + kind).normal(size=(30, DIM))
    rng = np.random.default_rng(number)
    count = int(rng.integers(2, 12))
    return unit(directions[rng.integers(0, 30, count)] + 0.15 * rng.normal(size=(count, DIM)))


def documents(numbers: range, kind: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "id": f"d{number}",
            "text": "",
            "group": "odd" if number % 2 else "even",
            "vectors": vectors_of(number, kind).tolist(),
        }
        for number in numbers
    ]


def queries(count: int) -> list[EncodedQuery]:
    tokens = [vectors_of(10_000 + number)[:5] for number in range(count)]
    return [EncodedQuery(vectors=own, pooled=unit(own.mean(axis=0))) for own in tokens]


def codes_score(codebook: Codebook, query: np.ndarray, document: np.ndarray, nprobe: int, missing: float) -> float:
    """The formula, one similarity at a time."""
    own = {int(np.argmax(codebook.centroids @ token)) for token in document}
    score = 0.0
    for token in query:
        similarities = codebook.centroids @ token
        order = np.argsort(-similarities, kind="stable")
        held = np.cumsum(codebook.shares[order] * codebook.tokens_per_document)
        reached = np.flatnonzero(held >= missing)
        place = max(int(reached[0]) if len(reached) else codebook.size, nprobe)
        floor = similarities[order[place]] if place < codebook.size else -1.0
        score += max((similarities[c] - floor for c in order[:nprobe] if int(c) in own), default=0.0)
    return float(score)


def ask(searcher: Searcher, query: EncodedQuery, stage: str, **options: Any) -> dict[str, float]:
    hits = searcher.search(query, first_stage=stage, rerank=None, size=100, source=False, **options).hits
    return {hit.doc_id: hit.score for hit in hits}


def test_stages_score_by_their_formula_also_documents_that_come_later(client: OpenSearch, index_name: str) -> None:
    load(client, index_name, documents(range(60)), sub_fields=BOTH, codec="f32")
    before = read_spec(client, index_name)
    told: list[str] = []
    # Later documents of another kind: the stored codebook serves them, nothing is trained.
    load(client, index_name, documents(range(60, 80), kind=1), sub_fields=BOTH, codec="f32", message=told.append)
    assert not any("training" in text for text in told)
    assert read_spec(client, index_name).artifacts == before.artifacts
    spec = load_state(client, before)
    codebook, subvectors = spec.codebook, spec.state["subvectors"]
    assert codebook is not None
    stored = {f"d{number}": vectors_of(number, kind=int(number >= 60)) for number in range(80)}
    searcher = Searcher(client, index_name)
    for query in queries(8):
        assert query.vectors is not None
        assert query.pooled is not None
        for nprobe, missing in ((4, 0.9), (10, 2.0), (60, 0.5)):
            found = ask(searcher, query, f"codes:nprobe={nprobe},missing={missing}")
            expected = {
                doc_id: codes_score(codebook, query.vectors, document, nprobe, missing)
                for doc_id, document in stored.items()
            }
            assert found == pytest.approx({doc_id: score for doc_id, score in expected.items() if score > 0}, rel=1e-4)
        parts = query.pooled.reshape(4, -1)
        products = [subvectors.centroids[part] @ parts[part] for part in range(4)]
        floors = [np.sort(own)[::-1][3] for own in products]
        expected = {}
        for doc_id, document in stored.items():
            terms = subvectors.assign(unit(document.mean(axis=0))[None])[0]
            expected[doc_id] = sum(max(products[p][t - 20 * p] - floors[p], 0.0) for p, t in enumerate(terms))
        found = ask(searcher, query, "pq:nprobe=3")
        assert found == pytest.approx({doc_id: score for doc_id, score in expected.items() if score > 0}, rel=1e-4)


def test_terms_are_what_the_codebook_assigns(client: OpenSearch, index_name: str) -> None:
    load(client, index_name, documents(range(30)), sub_fields=BOTH, codec="f32")
    codebook = load_state(client, read_spec(client, index_name)).codebook
    assert codebook is not None
    for centroid in range(codebook.size):
        (term,) = code_terms([centroid])
        body = {"query": {"term": {"mv.codes": term}}, "size": 50, "_source": False}
        found = {hit["_id"] for hit in client.search(index=index_name, body=body)["hits"]["hits"]}
        assert found == {f"d{n}" for n in range(30) if centroid in codebook.assign(vectors_of(n))}


@pytest.mark.parametrize("stage", ["codes", "codes:merge=true", "pq"])
def test_a_filter_never_leaks_and_changes_no_score(client: OpenSearch, index_name: str, stage: str) -> None:
    load(client, index_name, documents(range(60)), sub_fields=BOTH)
    searcher = Searcher(client, index_name)
    for query in queries(5):
        everything = ask(searcher, query, stage)
        odd = ask(searcher, query, stage, filter={"term": {"group.keyword": "odd"}})
        assert odd
        assert odd == pytest.approx({id_: score for id_, score in everything.items() if int(id_[1:]) % 2}, rel=1e-5)


def test_the_longest_queries_stay_under_the_engines_limit(client: OpenSearch, index_name: str) -> None:
    load(client, index_name, documents(range(60)), sub_fields=(Codes(centroids=300), Pq(parts=16, centroids=60)))
    searcher = Searcher(client, index_name)
    tokens = np.concatenate([vectors_of(number) for number in range(20_000, 20_150)])
    long = EncodedQuery(vectors=tokens, pooled=unit(tokens.mean(axis=0)))
    filter_ = {"bool": {"should": [{"term": {"group.keyword": "odd"}}, {"term": {"group.keyword": "even"}}]}}
    for stage in ("codes:nprobe=64", "codes:nprobe=64,merge=true", "pq:nprobe=1000"):
        assert len(ask(searcher, long, stage, filter=filter_)) > 30


def test_a_stream_is_sampled_from_its_head_and_loses_nothing(client: OpenSearch, index_name: str) -> None:
    rows = documents(range(40))
    rows.insert(3, {"id": "bad", "text": "", "vectors": [[1.0]]})
    rows.insert(4, {"id": "worse", "text": ""})
    summary = load(client, index_name, iter(rows), sub_fields=BOTH)
    assert (summary.read, summary.indexed, summary.rejected) == (42, 40, 2)
    assert client.count(index=index_name)["count"] == 40


def test_a_run_that_is_stopped_while_it_trains_leaves_no_index(client: OpenSearch, index_name: str) -> None:
    stop = threading.Event()
    summary = load(client, index_name, documents(range(40)), sub_fields=BOTH, stop=stop, message=lambda _: stop.set())
    assert summary.interrupted
    assert not client.indices.exists(index=index_name)


def test_nothing_to_learn_from(client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "docs.jsonl", [b"{", b"[]"])
    with pytest.raises(InputError, match="no token vectors"):
        load(client, index_name, path, sub_fields=BOTH)
    assert not client.indices.exists(index=index_name)


class TestDamage:
    """A codebook that is missing or altered in the cluster is one clear error, never an answer of garbage."""

    @pytest.mark.parametrize("damage", ["missing", "altered"])
    def test_search_and_indexing_refuse(self, client: OpenSearch, index_name: str, damage: str) -> None:
        seed = {"missing": 5_000, "altered": 6_000}[damage]
        load(client, index_name, documents(range(seed, seed + 30)), sub_fields=BOTH)
        codebook_id = read_spec(client, index_name).artifacts["codebook"]
        if damage == "missing":
            client.delete(index=ARTIFACT_INDEX, id=codebook_id, params={"refresh": "true"})
        else:
            part = f"{codebook_id}.0"
            data = client.get(index=ARTIFACT_INDEX, id=part)["_source"]["data"]
            body = {"data": data[:4000] + ("A" if data[4000] != "A" else "B") + data[4001:]}
            client.index(index=ARTIFACT_INDEX, id=part, body=body, params={"refresh": "true"})
        for act in (
            lambda: Searcher(client, index_name),
            lambda: load(client, index_name, documents(range(3)), sub_fields=BOTH),
            lambda: codebook_fit(client, index_name),
        ):
            with pytest.raises(MismatchError, match=f"{codebook_id}.*missing, cut or altered.*osmv index"):
                act()
        client.delete(index=ARTIFACT_INDEX, id=f"{codebook_id}.0", params={"refresh": "true"})

    def test_an_index_without_codes(self, client: OpenSearch, index_name: str) -> None:
        load(client, index_name, documents(range(3)), sub_fields=())
        for stage in ("codes", "pq"):
            with pytest.raises(MismatchError, match=rf"needs mv\.{stage}.*--sub-field {stage}"):
                Searcher(client, index_name).search(queries(1)[0], first_stage=stage)
        with pytest.raises(MismatchError, match="no codebook"):
            codebook_fit(client, index_name)


class TestFit:
    """Drift: silent for documents of the same kind, loud for another."""

    def test_documents_of_another_kind_are_noticed(self, client: OpenSearch, index_name: str) -> None:
        load(client, index_name, documents(range(200)), sub_fields=BOTH)
        same = codebook_fit(client, index_name, sample=150)
        assert (same.documents, same.sampled, same.centroids) == (200, 150, 48)
        assert same.tokens == pytest.approx(sum(len(vectors_of(n)) for n in range(200)), rel=0.15)
        # 0.80 by all of them, from which it was learnt; 0.76 to 0.83 by 25 such samples.
        assert same.relative_loss == pytest.approx(0.8, abs=0.2)
        assert not same.drifted
        load(client, index_name, documents(range(200, 260), kind=1), sub_fields=BOTH)
        newest = codebook_fit(client, index_name, sample=60, newest=True)
        assert newest.drifted
        assert newest.relative_loss > codebook_fit(client, index_name, sample=260).relative_loss > same.relative_loss

    def test_a_collection_that_has_outgrown_its_codebook(self, client: OpenSearch, index_name: str) -> None:
        load(client, index_name, documents(range(100)), sub_fields=(Codes(centroids=16),))
        fit = codebook_fit(client, index_name)
        assert fit.outgrown
        assert fit.suggested_centroids >= 64

    def test_an_empty_index(self, client: OpenSearch, index_name: str) -> None:
        load(client, index_name, documents(range(5)), sub_fields=(Codes(),))
        client.delete_by_query(index=index_name, body={"query": {"match_all": {}}}, params={"refresh": "true"})
        with pytest.raises(InputError, match="no document with token vectors"):
            codebook_fit(client, index_name)


class TestCommand:
    """`osmv codebook`."""

    def test_list_show_and_drift(
        self,
        client: OpenSearch,
        node_url: str,
        index_name: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def osmv(*arguments: str) -> tuple[int, str]:
            monkeypatch.setattr(sys, "argv", ["osmv", "codebook", *arguments, "--url", node_url])
            with pytest.raises(SystemExit) as ended:
                run()
            captured = capsys.readouterr()
            return int(ended.value.code or 0), captured.out + captured.err

        sub_fields = (Codes(centroids=128), Pq(parts=4, centroids=20))
        load(client, index_name, documents(range(7_000, 7_100)), sub_fields=sub_fields)
        codebook_id = read_spec(client, index_name).artifacts["codebook"]
        capsys.readouterr()

        listed = {row["id"]: row for row in json.loads(osmv("list", "--json")[1])}
        assert listed[codebook_id]["indices"] == [index_name]
        assert f"{codebook_id}  128 x 16" in osmv("list")[1]
        shown = json.loads(osmv("show", codebook_id, "--json")[1])
        assert (shown["centroids"], shown["dim"], shown["indices"]) == (128, DIM, [index_name])
        assert "centroids: 128" in osmv("show", codebook_id)[1]
        code, text = osmv("drift", index_name, "--json")
        assert (code, json.loads(text)["codebook"]) == (0, codebook_id)
        assert "it fits" in osmv("drift", index_name)[1]
        load(client, index_name, documents(range(8_000, 8_060), kind=1), sub_fields=sub_fields)
        code, text = osmv("drift", index_name, "--newest", "--sample", "60")
        assert code == 1
        assert "another kind" in text
        code, text = osmv("show", "0123456789abcdef")
        assert code == 4
        assert "0123456789abcdef" in text
        subvectors = read_spec(client, index_name).artifacts["subvectors"]
        assert "no codebook but" in osmv("show", subvectors)[1]
