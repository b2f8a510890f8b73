"""Where a row's collection comes from: folders and files below the data folder, data sets by name."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from opensearch_multivector.encoding.encoders import MINILM_INT8
from opensearch_multivector.evaluation.collection.corpus_index import Corpus
from opensearch_multivector.evaluation.reproduce.matrix import CollectionChoice, IndexChoice
from opensearch_multivector.evaluation.reproduce.sources import Models, UnavailableError, find_source
from opensearch_multivector.queries.encoded_query import EncodedQuery

ir_datasets = pytest.importorskip("ir_datasets")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, text in {
        "birds/corpus.jsonl": '{"_id": "terns", "text": "Terns migrate."}\n',
        "birds/queries.jsonl": '{"_id": "1", "text": "birds that travel"}\n',
        "birds/qrels/dev.tsv": "query-id\tcorpus-id\tscore\n1\tterns\t1\n",
        "docs.tsv": "terns\tTerns migrate.\nbees\tBees dance.\n",
        "topics.tsv": "1\tbee bee dance\n",
        "qrels.txt": "1 0 bees 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def dataset(data: Path) -> str:
    """The name of a data set of ir_datasets' own kind, of local files."""
    name = f"test-{uuid.uuid4().hex}"
    files = {"docs_tsv": "docs.tsv", "queries_tsv": "topics.tsv", "qrels_trec": "qrels.txt"}
    ir_datasets.registry.register(
        name, ir_datasets.create_dataset(**{what: str(data / file) for what, file in files.items()})
    )
    return name


def test_a_folder_is_taken_where_it_is_there_else_the_names(data: Path, dataset: str) -> None:
    choice = CollectionChoice(folder="birds", split="dev", documents=dataset, topics=dataset, qrels=dataset)
    here = find_source("birds", choice, data)
    assert here.corpus() == data / "birds"
    assert here.collection().topics == {"1": "birds that travel"}
    assert set(here.collection().files) == {"corpus", "topics", "qrels"}
    named = find_source("birds", choice, data / "birds")
    assert (named.documents, named.topics, named.qrels) == (dataset, dataset, dataset)
    assert named.collection().qrels == {"1": {"bees": 1}}
    corpus = named.corpus()
    assert isinstance(corpus, Corpus)
    assert dataset in corpus.identity
    # Twice, as an interrupted run starts over.
    assert [list(corpus), list(corpus)] == 2 * [
        [{"_id": "terns", "text": "Terns migrate."}, {"_id": "bees", "text": "Bees dance."}]
    ]


def test_parts_may_be_files_and_topics_read_as_tokens(data: Path, dataset: str) -> None:
    source = find_source("x", CollectionChoice(documents=dataset, topics="tokens:topics.tsv", qrels="qrels.txt"), data)
    query = source.collection().topics["1"]
    assert isinstance(query, EncodedQuery)
    assert query.terms is not None
    assert query.terms.upper == {"bee": 2.0, "dance": 1.0}
    before = source.digest
    (data / "topics.tsv").write_text("1\tbee dance\n", encoding="utf-8")
    again = find_source("x", CollectionChoice(documents=dataset, topics="tokens:topics.tsv", qrels="qrels.txt"), data)
    assert again.digest != before


@pytest.mark.parametrize("file", ["birds/corpus.jsonl", "birds/queries.jsonl", "birds/qrels/dev.tsv"])
def test_the_digest_changes_with_every_file(file: str, data: Path) -> None:
    choice = CollectionChoice(folder="birds", split="dev")
    before = find_source("birds", choice, data).digest
    assert find_source("birds", choice, data).digest == before
    (data / file).write_text((data / file).read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert find_source("birds", choice, data).digest != before


def test_what_cannot_be_had_is_said(data: Path, dataset: str) -> None:
    with pytest.raises(UnavailableError, match=r"'bats': there is no folder .*bats; --data says where"):
        find_source("bats", CollectionChoice(folder="bats"), data)
    with pytest.raises(UnavailableError, match=r"no judgements of split 'test'"):
        find_source("birds", CollectionChoice(folder="birds"), data)
    unknown = find_source("x", CollectionChoice(documents="no/such-set", topics=dataset, qrels=dataset), data)
    with pytest.raises(UnavailableError, match=r"'x': no/such-set: neither a file nor a data set"):
        unknown.corpus()
    with pytest.raises(UnavailableError, match=r"'x': .*no/topics"):
        find_source("x", CollectionChoice(documents=dataset, topics="no/topics", qrels=dataset), data).collection()
    with pytest.raises(UnavailableError, match=r"encoder '\./no-model': "):
        Models().encoder(IndexChoice(encoder="./no-model"))
    with pytest.raises(UnavailableError, match=r"term encoder '\./no-model': "):
        Models().term_encoder("./no-model")


def test_rows_in_a_line_share_their_encoder() -> None:
    pytest.importorskip("onnxruntime")
    models = Models()
    assert models.encoder(IndexChoice(no_vectors=True)) is models.encoder(IndexChoice(encoder="none")) is None
    first = models.encoder(IndexChoice(encoder=MINILM_INT8))
    assert models.encoder(IndexChoice(encoder=MINILM_INT8, codec="f32")) is first
    shorter = models.encoder(IndexChoice(encoder=MINILM_INT8, max_length=32))
    assert shorter is not None
    assert first is not None
    assert shorter.fingerprint != first.fingerprint
