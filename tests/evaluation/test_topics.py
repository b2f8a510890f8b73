from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest

from opensearch_multivector.errors import InputError, MissingDependencyError
from opensearch_multivector.evaluation.collection import pyserini_names
from opensearch_multivector.evaluation.collection.topics import open_collection, qrels_of, topics_of
from opensearch_multivector.queries.encoded_query import EncodedQuery

TREC = """
<top>
<num> Number: 301
<title> International Organized Crime

<desc> Description:
Identify organizations that participate in international criminal activity.

<narr> Narrative:
A relevant document must name <title> and number: of them.
</top>

<top lang='en'>
<num>051</num>
<title>Topic: Airbus
subsidies</title>
<desc>What?</desc>
</top>
"""

MICROBLOG = """<top>
<num> Number: MB001 </num>
<query> BBC World Service staff cuts </query>
<querytweettime> Tue Feb 08 12:30:27 +0000 2011 </querytweettime>
</top>
"""
WEB = """<?xml version="1.0"?>

<webtrack2010>
  <topic number="051" type="faceted">
    <query>horse
      hooves</query>
    <description>Find care &amp; feeding.</description>
    <subtopic number="1" type="inf">x</subtopic>
  </topic>
</webtrack2010>
"""
NTCIR = "<queries><query><qid>0007</qid><content>halloween picture</content></query></queries>"


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("queries.dev.tsv", "2\twhat is: a\r\n1\t bees \n\n", {"2": "what is: a", "1": "bees"}),
        ("queries.tsv.gz", "q 1\tété\n", {"q 1": "été"}),
        ("queries.jsonl", '{"_id": "a", "text": "x", "metadata": {}}\n', {"a": "x"}),
        ("topics.jsonl", '{"id": 7, "title": "x"}\n{"qid": "8", "query": "y"}\n', {"7": "x", "8": "y"}),
        ("topics.robust04.txt", TREC, {"301": "International Organized Crime", "51": "Airbus subsidies"}),
        ("topics.microblog2011.txt", MICROBLOG, {"1": "BBC World Service staff cuts"}),
        ("topics.web.51-100.txt", WEB, {"51": "horse hooves"}),
        ("topics.www2.xml", NTCIR, {"7": "halloween picture"}),
        ("topics.robust04.txt.gz", TREC, {"301": "International Organized Crime", "51": "Airbus subsidies"}),
    ],
)
def test_topics_are_told_by_their_first_line(name: str, text: str, expected: dict[str, str], tmp_path: Path) -> None:
    assert list(topics_of(write(tmp_path / name, text)).items()) == list(expected.items())


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("1\tbees\n\n2 wasps\n", 3, "1 columns"),
        ("1\tbees\n2\twasps\tmore\n", 2, "3 columns"),
        ("1\tbees\n\twasps\n", 2, "columns"),
        ("1\tbees\n2\t \n", 2, "topic '2' has no text"),
        ("1\tbees\n1\twasps\n", 2, "second time"),
        ('{"id": 1, "title": "x"}\n{"title": "y"}\n', 2, '"_id" or "id"'),
        (TREC + "<top>\n<title> no number\n</top>\n", 19, "no <num>"),
        (TREC + "<top>\n<num> Number: 5\n<desc> x\n", 19, "no <title>"),
        (TREC + TREC, 20, "'301' appears a second time"),
        ("<topics>\n\n<topic number='1'>\n<query>a & b</query>\n</topic></topics>\n", 4, "no XML"),
        ('{"id": 1, "vector": {"bee": 1}}\n{"id": 2, "vector": {"bee": -1}}\n', 2, "weight of term 'bee'"),
        ('{"id": 1, "vector": [1, "x"]}\n', 1, "neither a list of numbers nor weights by term"),
        ('{"id": 1, "vector": []}\n', 1, "neither a list of numbers nor weights by term"),
    ],
)
def test_bad_topics_name_file_and_line(text: str, line: int, reason: str, tmp_path: Path) -> None:
    path = write(tmp_path / "topics", text)
    with pytest.raises(InputError, match=reason) as error:
        topics_of(path)
    assert str(error.value).startswith(f"{path}:{line}: ")


def test_ready_queries(tmp_path: Path) -> None:
    lines = '{"qid": 1, "title": "bees", "vector": [0.5, -1]}\n{"id": "b", "vector": {"bee": 2, "v1.2": 0.5}}\n'
    dense, sparse = topics_of(write(tmp_path / "topics.jsonl", lines)).values()
    assert isinstance(dense, EncodedQuery)
    assert isinstance(sparse, EncodedQuery)
    assert (dense.text, sparse.text, sparse.pooled, dense.terms) == ("bees", None, None, None)
    np.testing.assert_array_equal(dense.pooled, np.array([0.5, -1], np.float32))  # type: ignore[arg-type]
    assert sparse.terms is not None
    assert sparse.terms.upper == {"bee": 2.0, "v1․2": 0.5}


def test_texts_of_repeated_tokens(tmp_path: Path) -> None:
    path = write(tmp_path / "topics.unicoil.tsv.gz", "1\t##s bee bee ##s bee\n")
    assert topics_of(path) == {"1": "##s bee bee ##s bee"}
    (query,) = topics_of(f"tokens:{path}").values()
    assert isinstance(query, EncodedQuery)
    assert query.terms is not None
    assert query.terms.upper == {"bee": 3.0, "##s": 2.0}
    qrels = write(tmp_path / "qrels.txt", "1 0 d1 1\n")
    collection = open_collection(None, topics=f"tokens:{path}", qrels=qrels)
    assert (collection.topics, collection.files["topics"]) == ({"1": query}, Path(path))


@pytest.mark.parametrize("text", ["", "\n\n", "<topics>\n</topics>\n"])
def test_files_without_topics(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no"):
        topics_of(write(tmp_path / "topics", text))


def test_a_collection_of_two_files(tmp_path: Path) -> None:
    topics = write(tmp_path / "topics.dl19.tsv", "1\tbees\n2\twasps\n")
    qrels = write(tmp_path / "qrels.dl19.txt", "1 Q0 d1 3\n1 0 d2 0\n9 0 d1 1\n")
    collection = open_collection(None, topics=topics, qrels=qrels)
    assert (collection.name, collection.topics) == ("topics.dl19.tsv", {"1": "bees"})
    assert collection.qrels == {"1": {"d1": 3, "d2": 0}}
    assert (collection.unjudged, collection.unasked) == (1, 1)
    assert collection.files == {"topics": Path(topics), "qrels": Path(qrels)}
    other = write(tmp_path / "other.txt", "8 0 d1 1\n")
    with pytest.raises(InputError, match=r"other\.txt: none of its query ids is in .*topics\.dl19\.tsv"):
        open_collection(None, topics=topics, qrels=other)
    for lacking in ({"topics": topics}, {"qrels": qrels}, {}):
        with pytest.raises(InputError, match="both --topics and --qrels"):
            open_collection(None, **lacking)


def test_a_folder_gives_its_corpus_to_topics_from_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "set" / "corpus.jsonl", '{"_id": "d1", "text": "x"}\n')
    topics = write(tmp_path / "t.tsv", "1\tbees\n")
    qrels = write(tmp_path / "q.txt", "1 0 d1 1\n")
    collection = open_collection(tmp_path / "set", topics=topics, qrels=qrels)
    assert collection.name == "set"
    assert collection.files["corpus"] == tmp_path / "set" / "corpus.jsonl"


def test_names_need_ir_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    monkeypatch.setattr(pyserini_names, "installed", lambda: False)
    for read in (topics_of, qrels_of):
        with pytest.raises(MissingDependencyError, match=r"^beir/scifact/test is no file; .*pip install ir-datasets"):
            read("beir/scifact/test")


def test_names_of_ir_datasets(tmp_path: Path) -> None:
    ir_datasets = pytest.importorskip("ir_datasets")
    topics = write(tmp_path / "t.tsv", "1\tbees\n2\twasps\n")
    qrels = write(tmp_path / "q.txt", "1 0 d1 2\n")
    ir_datasets.registry.register("osmv-test", ir_datasets.create_dataset(queries_tsv=topics, qrels_trec=qrels))
    ir_datasets.registry.register("osmv-test/no-qrels", ir_datasets.create_dataset(queries_tsv=topics))
    collection = open_collection(None, topics="osmv-test", qrels="osmv-test")
    assert (collection.name, collection.topics, collection.qrels) == ("osmv-test", {"1": "bees"}, {"1": {"d1": 2}})
    assert collection.files == {}
    with pytest.raises(InputError, match=r"osmv-test/no-qrels: .* has no qrels"):
        qrels_of("osmv-test/no-qrels")
    absent = ir_datasets.create_dataset(queries_tsv=str(tmp_path / "gone.tsv"))
    ir_datasets.registry.register("osmv-test/gone", absent)
    with pytest.raises(InputError, match="osmv-test/gone: ir_datasets can't fetch the queries"):
        topics_of("osmv-test/gone")
    with pytest.raises(InputError, match="absent/set: neither a file nor "):
        topics_of("absent/set")
