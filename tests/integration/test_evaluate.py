"""`osmv eval` and its parts on a tiny collection, with the real node and the small real model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import osmv_here
import pytest
from node_under_test import VERSION
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders import MINILM_INT8, load_encoder
from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.collection.beir import read_collection
from opensearch_multivector.evaluation.collection.corpus_index import index_corpus
from opensearch_multivector.evaluation.evaluate import Configuration, evaluate
from opensearch_multivector.evaluation.provenance import describe_index, read_header
from opensearch_multivector.evaluation.runs import Ranking, read_run
from opensearch_multivector.plugin.fields import EncoderRef, FieldSpec
from opensearch_multivector.queries.searcher import Searcher

ir_measures = pytest.importorskip("ir_measures")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.integration

DOCUMENTS = {
    "bees": "Honey bees find their way home by the position of the sun and by landmarks.",
    "bread": "Sourdough rises because wild yeast and bacteria make the dough sour and airy.",
    "moon landing": "The first people walked on the moon in July 1969.",
    "rivers": "Rivers carry sand and silt to the sea, where a delta forms.",
    "violin": "A violin has four strings, tuned in fifths, and is played with a bow.",
}
TOPICS = {
    "1": "how do bees return to their hive",
    "2": "when did astronauts reach the lunar surface",
    "3": "instrument with four strings",
    "4": "a topic that nobody has judged",
}
QRELS = {"1": "bees", "2": "moon landing", "3": "violin", "9": "bread"}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(MINILM_INT8)


@pytest.fixture
def folder(tmp_path: Path, index_name: str) -> Path:
    """A BEIR folder named as the test's index, so that indices made from its name are removed with it."""
    folder = tmp_path / index_name
    (folder / "qrels").mkdir(parents=True)
    write_corpus(folder, DOCUMENTS)
    topics = [json.dumps({"_id": query_id, "text": text}) for query_id, text in TOPICS.items()]
    (folder / "queries.jsonl").write_text("\n".join(topics), encoding="utf-8")
    qrels = [f"{query_id}\t{doc_id}\t1" for query_id, doc_id in QRELS.items()]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *qrels]), encoding="utf-8")
    return folder


def write_corpus(folder: Path, documents: dict[str, str]) -> None:
    lines = [json.dumps({"_id": doc_id, "title": "", "text": text}) for doc_id, text in documents.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")


def operations(client: OpenSearch, index: str) -> int:
    """How many documents were ever written into an index."""
    stats = client.indices.stats(index=index, metric="indexing")
    return int(stats["indices"][index]["primaries"]["indexing"]["index_total"])


def test_configurations_runs_and_latencies(client: OpenSearch, folder: Path, encoder: Encoder, tmp_path: Path) -> None:
    index = index_corpus(client, folder.name, folder, encoder=encoder)
    searcher = Searcher(client, index, encoder=encoder)
    names = ["bm25", "dense", "dense/client", "bm25+dense/client"]
    seen: list[tuple[str, int, int]] = []
    collection = read_collection(folder)
    evaluation = evaluate(
        searcher,
        collection,
        [Configuration.parse(name) for name in [*names, "dense"]],
        size=5,
        measures=["nDCG@10", "R@1", "RR@10"],
        runs_dir=tmp_path / "runs",
        latency_topics=2,
        progress=lambda *report: seen.append(report),
    )
    assert [outcome.configuration for outcome in evaluation.outcomes] == names
    assert (collection.unjudged, collection.unasked, evaluation.latency_topics) == (1, 1, 2)
    for outcome in evaluation.outcomes:
        # The run on disk, read by ir-measures itself, has the measures that were reported.
        assert outcome.run is not None
        ranking = read_run(outcome.run)
        scored = {query_id: dict(hits) for query_id, hits in ranking.items()}
        again = ir_measures.calc_aggregate(
            [ir_measures.parse_measure(name) for name in outcome.scores.mean], collection.qrels, scored
        )
        assert {str(measure): value for measure, value in again.items()} == pytest.approx(outcome.scores.mean)
        assert {"encode", "first_stage", "total"} <= set(outcome.latency)
        assert ("rerank" in outcome.latency) == ("/" in outcome.configuration)
        assert all(0 <= latency.p50 <= latency.p95 for latency in outcome.latency.values())
    # No word of topic 2 is in its document: the words alone do not find it, the vectors do.
    bm25, dense, reranked, _ = evaluation.outcomes
    assert bm25.scores.per_topic["R@1"]["2"] == 0
    assert dense.scores.mean == reranked.scores.mean == pytest.approx({"nDCG@10": 1, "R@1": 1, "RR@10": 1})
    assert [done for name, done, _ in seen if name == "dense"] == [3, 4, 5]
    assert {total for *_, total in seen} == {5}


def test_topics_that_are_documents_are_taken_out_of_their_own_rankings(
    client: OpenSearch, folder: Path, encoder: Encoder, osmv: Any, tmp_path: Path
) -> None:
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "bees", "text": DOCUMENTS["bees"]}), encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("bees\trivers\t1\n", encoding="utf-8")
    index = index_corpus(client, folder.name, folder, encoder=encoder)
    searcher = Searcher(client, index, encoder=encoder)
    dense = [Configuration.parse("dense")]
    for remove, expected in ((False, 5), (True, 4)):
        runs = tmp_path / str(remove)
        (outcome,) = evaluate(
            searcher, read_collection(folder), dense, measures=["R@5"], runs_dir=runs, remove_query=remove
        ).outcomes
        assert outcome.run is not None
        assert (header := read_header(outcome.run)) is not None
        found = [doc_id for doc_id, _ in read_run(outcome.run)["bees"]]
        assert (len(found), "bees" in found) == (expected, not remove)
        assert header["search"].get("remove_query", False) is remove
    arguments = ["--index", index, "--config", "dense", "--runs-dir", str(tmp_path), "--latency-topics", "0"]
    done = osmv("eval", str(folder), *arguments, "--remove-query")
    assert done.returncode == 0, done.stderr
    assert "bees" not in dict(read_run(tmp_path / "dense.trec")["bees"])


def test_a_finished_index_is_used_again_and_another_corpus_gets_its_own(
    client: OpenSearch, folder: Path, encoder: Encoder
) -> None:
    first = index_corpus(client, folder.name, folder, encoder=encoder)
    assert first.startswith(folder.name)
    written = operations(client, first)
    assert index_corpus(client, folder.name, folder, encoder=encoder) == first
    assert operations(client, first) == written == len(DOCUMENTS)

    write_corpus(folder, DOCUMENTS | {"new": "Glass is made of sand, soda and lime."})
    second = index_corpus(client, folder.name, folder, encoder=encoder)
    assert second != first
    assert [int(client.count(index=index)["count"]) for index in (first, second)] == [5, 6]

    client.indices.delete(index=second)
    assert index_corpus(client, folder.name, folder, encoder=encoder) == second
    assert int(client.count(index=second)["count"]) == 6


@pytest.mark.parametrize("name", ["sparse", "dense/magic", "dense/", "", "dense+dense"])
def test_what_is_no_configuration_is_said(name: str) -> None:
    with pytest.raises(InputError):
        Configuration.parse(name)


@pytest.fixture
def osmv(node_url: str) -> Any:
    return lambda *arguments: osmv_here.osmv(*arguments, "--url", node_url)


def test_the_command(client: OpenSearch, folder: Path, encoder: Encoder, osmv: Any, tmp_path: Path) -> None:
    index = index_corpus(client, folder.name, folder, encoder=encoder)
    arguments = ["eval", str(folder), "--index", index, "--size", "5", "--config", "dense/client", "--config", "bm25"]
    done = osmv(*arguments, "--measure", "RR@10", "--runs-dir", str(tmp_path / "runs"), "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert [each["name"] for each in figures["configurations"]] == ["dense/client", "bm25"]
    assert figures["configurations"][0]["measures"] == {"RR@10": 1.0}
    assert (figures["topics"], figures["topics_without_judgements"]) == (3, 1)
    assert (tmp_path / "runs" / "dense.client.trec").is_file()
    check_header(tmp_path / "runs" / "dense.client.trec", folder, index, encoder)

    ms_marco = osmv(*arguments, "--runs-dir", str(tmp_path / "ms"), "--run-format", "msmarco", "--latency-topics", "0")
    assert ms_marco.returncode == 0, ms_marco.stderr
    ours, theirs = (read_run(path) for path in (tmp_path / "runs" / "bm25.trec", tmp_path / "ms" / "bm25.tsv"))
    assert ids(ours) == ids(theirs)

    shown = osmv(*arguments)
    assert shown.returncode == 0
    for expected in ("nDCG@10", "dense/client", "1.000", "first stage", "1 topics without judgements"):
        assert expected in shown.stdout


def test_what_the_cluster_refuses_to_tell_is_null(client: OpenSearch, index_name: str) -> None:
    spec = FieldSpec("mv", 384, "int8", EncoderRef("ready", "0"))
    described = describe_index(client, index_name, spec)  # there is no such index
    assert described["engine"]["opensearch"] == VERSION
    assert described["index"]["settings"] == {}
    assert described["index"]["documents"] is described["index"]["store_bytes"] is None
    assert described["index"]["field"] == spec.to_meta()


def ids(run: dict[str, Ranking]) -> dict[str, list[str]]:
    return {query_id: [doc_id for doc_id, _ in ranking] for query_id, ranking in run.items()}


def check_header(run: Path, folder: Path, index: str, encoder: Encoder) -> None:
    """What is needed to repeat a run, against what is known of it from elsewhere."""
    header = read_header(run)
    assert header is not None
    assert header["run"]["sha256"] == hashlib.sha256(run.read_bytes()).hexdigest()
    assert header["name"] == "dense/client"
    assert {"first_stage": "dense", "rerank": "client", "size": 5, "window_size": 300}.items() <= header[
        "search"
    ].items()
    files = {"corpus": "corpus.jsonl", "topics": "queries.jsonl", "qrels": "qrels/test.tsv"}
    assert {what: each["sha256"] for what, each in header["collection"]["files"].items()} == {
        what: hashlib.sha256((folder / name).read_bytes()).hexdigest() for what, name in files.items()
    }
    assert header["engine"]["opensearch"] == VERSION
    assert header["engine"]["nodes"] == 1
    assert f"opensearch-knn {VERSION}" in "; ".join(header["engine"]["plugins"])
    assert header["index"]["name"] == index
    assert header["index"]["documents"] == len(DOCUMENTS)
    assert header["index"]["store_bytes"] > 0
    assert header["index"]["settings"][index]["number_of_shards"] == "1"
    field = header["index"]["field"]
    assert (field["codec"], field["artifacts"]) == ("int8", {})
    assert field["vectors"] == {"name": MINILM_INT8, "fingerprint": encoder.fingerprint}
    assert header["results"]["measures"] == {"RR@10": 1.0}
    assert header["results"]["latency_ms"]["total"]["p50"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--run-format", "kilt"], 2, "'kilt' is no run format"),
        (["--split", "dev"], 2, "qrels/dev.tsv"),
        (["--measure", "Speed"], 2, "'Speed' is no measure"),
        (["--config", "dense/magic"], 2, "unknown rerank 'magic'"),
        (["--index", "there-is-none"], 3, "there-is-none"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(
    folder: Path, osmv: Any, arguments: list[str], code: int, message: str
) -> None:
    done = osmv("eval", str(folder), *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_evaluates_a_folder_and_finds_its_index_again(client: OpenSearch, folder: Path, osmv: Any) -> None:
    first, second = (osmv("demo", "--data", str(folder), "--light", "--json") for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr
    figures, again = (json.loads(done.stdout)["evaluation"] for done in (first, second))
    assert [each["name"] for each in figures["configurations"]] == [
        "bm25",
        "dense",
        "dense/client",
        "bm25+dense/client",
    ]
    assert figures["configurations"][2]["measures"]["RR@10"] == 1.0
    assert again["index"] == figures["index"]
    assert operations(client, figures["index"]) == len(DOCUMENTS)
