from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.collection.beir import read_collection, read_qrels, read_topics


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


TOPICS = '{"_id": "1", "text": "bees"}\n{"_id": "2", "text": "wasps"}\n\n{"_id": 3, "text": "ants"}\n'
QRELS = "query-id\tcorpus-id\tscore\n1\tThe Bee\t2\n1\td2\t0\n3\td1\t1\n9\td1\t1\n"


def test_folder_keeps_judged_topics_and_counts_the_rest(tmp_path: Path) -> None:
    write(tmp_path / "set" / "queries.jsonl", TOPICS)
    write(tmp_path / "set" / "qrels" / "test.tsv", QRELS)
    collection = read_collection(tmp_path / "set")
    assert collection.name == "set"
    assert list(collection.topics.items()) == [("1", "bees"), ("3", "ants")]
    assert collection.qrels == {"1": {"The Bee": 2, "d2": 0}, "3": {"d1": 1}}
    assert (collection.unjudged, collection.unasked) == (1, 1)
    files = {"topics": tmp_path / "set" / "queries.jsonl", "qrels": tmp_path / "set" / "qrels" / "test.tsv"}
    assert collection.files == files
    corpus = write(tmp_path / "set" / "corpus.jsonl", "")
    assert read_collection(tmp_path / "set").files == {**files, "corpus": corpus}


def test_gzipped_files_and_another_split(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "queries.jsonl.gz").write_bytes(gzip.compress(TOPICS.encode()))
    (tmp_path / "qrels" / "dev.tsv.gz").write_bytes(gzip.compress(QRELS.encode()))
    assert list(read_collection(tmp_path, "dev").topics) == ["1", "3"]


def test_trec_qrels_and_beir_qrels_say_the_same(tmp_path: Path) -> None:
    trec = write(tmp_path / "a.qrels", "1 0 d1 2\n1\t0\td 2\t0\n2   Q0  d3 -1\n")
    beir = write(tmp_path / "a.tsv", "query-id\tcorpus-id\tscore\n1\td1\t2\n1\td 2\t0\n2\td3\t-1\n")
    assert read_qrels(trec) == read_qrels(beir) == {"1": {"d1": 2, "d 2": 0}, "2": {"d3": -1}}


def test_beir_qrels_without_header(tmp_path: Path) -> None:
    assert read_qrels(write(tmp_path / "q.tsv", "1\td1\t1\n")) == {"1": {"d1": 1}}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('{"_id": "1", "text": "a"}\n{"_id": \n', 2, "not JSON"),
        ('{"id": "1", "text": "a"}\n', 1, "_id"),
        ('{"_id": "", "text": "a"}\n', 1, "_id"),
        ("[1]\n", 1, "_id"),
        ('{"_id": "1", "text": "a"}\n\n{"_id": "2", "text": " "}\n', 3, "'2' has no"),
        ('{"_id": "1", "text": "a"}\n{"_id": 1, "text": "b"}\n', 2, "second time"),
    ],
)
def test_bad_topic_names_file_and_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = write(tmp_path / "queries.jsonl", text)
    with pytest.raises(InputError, match=reason) as error:
        read_topics(path)
    assert str(error.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("query-id\tcorpus-id\tscore\n1\td1\n", 2, "2 columns"),
        ("1 0 d1 1 more\n", 1, "5 columns"),
        ("query-id\tcorpus-id\tscore\n1\td1\tyes\n", 2, "'yes' is not a whole number"),
        ("1 0 d1 high\n", 1, "'high' is not a whole number"),
        ("1\td1\t1\n1\t\t1\n", 2, "an id is empty"),
        ("1\td1\t1\n1\td1\t0\n", 2, "two different grades"),
    ],
)
def test_bad_judgement_names_file_and_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = write(tmp_path / "test.tsv", text)
    with pytest.raises(InputError, match=reason) as error:
        read_qrels(path)
    assert str(error.value).startswith(f"{path}:{line}: ")


def test_a_judgement_given_twice_alike_is_one(tmp_path: Path) -> None:
    assert read_qrels(write(tmp_path / "q.tsv", "1\td1\t1\n1\td1\t1\n")) == {"1": {"d1": 1}}


def test_folders_that_lack_something(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_collection(tmp_path / "absent")
    with pytest.raises(InputError, match="no topics here"):
        read_collection(tmp_path)
    write(tmp_path / "queries.jsonl", TOPICS)
    with pytest.raises(InputError, match="judgements of split 'test'"):
        read_collection(tmp_path)
    write(tmp_path / "qrels" / "test.tsv", "77\td1\t1\n")
    with pytest.raises(InputError, match="don't belong together"):
        read_collection(tmp_path)
    write(tmp_path / "qrels" / "test.tsv", "\n")
    with pytest.raises(InputError, match="no judgements"):
        read_collection(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_bytes(b'{"_id": "1", "text": "caf\xe9"}\n')
    with pytest.raises(InputError, match="not UTF-8"):
        read_topics(path)
    cut = tmp_path / "queries.jsonl.gz"
    cut.write_bytes(gzip.compress(TOPICS.encode())[:-12])
    with pytest.raises(InputError, match=r"queries\.jsonl\.gz: .*cut"):
        read_topics(cut)
    cut.write_bytes(TOPICS.encode())
    with pytest.raises(InputError, match="can't be read"):
        read_topics(cut)
