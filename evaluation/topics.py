"""Topics and judgements from wherever a researcher has them: a file of any usual form, or a name of ir_datasets.

Topics, told by a file's first line::

    qid<TAB>text                                      MS MARCO's and Pyserini's TSV
    {"_id": .., "text": ..}                           JSON lines, BEIR's; also id, qid, query_id and title, query
    <top> <num> Number: 301 <title> ... </top>        TREC's, of which the title is asked

Judgements: TREC's four columns or BEIR's three (`beir.read_qrels`). Files may be gzipped.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from opensearch_multivector.errors import InputError, MissingDependencyError
from opensearch_multivector.evaluation.beir import (
    Collection,
    Qrels,
    Topics,
    add_topic,
    corpus_file,
    judged_topics,
    numbered_lines,
    read_collection,
    read_qrels,
    read_topics,
)

_ID_FIELDS = ("_id", "id", "qid", "query_id")
_TEXT_FIELDS = ("text", "title", "query")
# A tag at the start of a line, and the word that TREC puts behind some of them.
_TAG = re.compile(r"\s*<(/?\w+)\b[^>]*>\s*(?:(?:Number|Topic)\s*:)?", re.IGNORECASE)
_CLOSING = re.compile(r"</\w+>")


def open_collection(
    folder: Path | None, split: str = "test", *, topics: str | None = None, qrels: str | None = None
) -> Collection:
    """A BEIR folder's collection, or one of topics and judgements from elsewhere: each a path or a name.

    Raises InputError naming the file and line at fault, MissingDependencyError.
    """
    if folder and topics is None and qrels is None:
        return read_collection(folder, split)
    if topics is None or qrels is None:
        raise InputError("topics and judgements go together: give a BEIR folder, or both --topics and --qrels.")
    given = {"topics": topics, "qrels": qrels}
    sources = {what: Path(source) if Path(source).exists() else source for what, source in given.items()}
    name = folder.resolve().name if folder else Path(topics).name
    return judged_topics(name, topics_of(topics), qrels_of(qrels), sources | (corpus_file(folder) if folder else {}))


def topics_of(source: str) -> Topics:
    """Texts by query id, in their order. Raises InputError with file and line, MissingDependencyError."""
    path = Path(source)
    if not path.exists():
        return _dataset_topics(source)
    _, first = next(numbered_lines(path), (0, ""))
    if first.lstrip().startswith("<"):
        topics = _trec_topics(path)
    elif first.lstrip().startswith("{"):
        topics = read_topics(path, _ID_FIELDS, _TEXT_FIELDS)
    else:
        topics = _tsv_topics(path)
    if not topics:
        raise InputError(f"{path}: holds no topics.")
    return topics


def qrels_of(source: str) -> Qrels:
    """Grades by document id by query id. Raises as `topics_of`."""
    if Path(source).exists():
        return read_qrels(Path(source))
    qrels: Qrels = {}
    for judgement in _of_dataset(source, "qrels"):
        qrels.setdefault(judgement.query_id, {})[judgement.doc_id] = int(judgement.relevance)
    return qrels


def _tsv_topics(path: Path) -> Topics:
    topics: Topics = {}
    for number, line in numbered_lines(path):
        query_id, *texts = (column.strip() for column in line.split("\t"))
        if len(texts) != 1 or not query_id:
            raise InputError(
                f"{path}:{number}: {1 + len(texts)} columns; a topic is `qid<TAB>text`, JSON or TREC's <top>."
            )
        add_topic(topics, query_id, texts[0], f"{path}:{number}")
    return topics


def _trec_topics(path: Path) -> Topics:
    """Numbers as Anserini takes them, without leading zeros: topic 051 is judged as 51."""
    topics: Topics = {}
    found: dict[str, str] = {}
    start = 0
    reading = ""

    def finish() -> None:
        if not start:
            return
        number, title = (" ".join(found.get(tag, "").split()) for tag in ("num", "title"))
        if not number or not title:
            raise InputError(f"{path}:{start}: the topic that begins here has no {'<title>' if number else '<num>'}.")
        add_topic(topics, str(int(number)) if number.isdecimal() else number, title, f"{path}:{start}")

    for line_number, line in numbered_lines(path):
        tag = _TAG.match(line)
        text = line
        if tag:
            reading, text = tag[1].lower(), line[tag.end() :]
            if reading == "top":
                finish()
                found, start = {}, line_number
        if reading in ("num", "title"):
            found[reading] = f"{found.get(reading, '')} {_CLOSING.sub(' ', text)}"
    finish()
    if not topics:
        raise InputError(f"{path}: holds no <top>; topics are `qid<TAB>text`, JSON lines or TREC's <top>.")
    return topics


def _dataset_topics(name: str) -> Topics:
    topics: Topics = {}
    for query in _of_dataset(name, "queries"):
        text = next((getattr(query, field) for field in _TEXT_FIELDS if hasattr(query, field)), "")
        add_topic(topics, query.query_id, text, name)
    return topics


def _of_dataset(name: str, what: str) -> list[Any]:
    """All queries or qrels of a data set of ir_datasets, which downloads them where that has not been done."""
    try:
        import ir_datasets
    except ImportError:
        raise MissingDependencyError(
            f"{name} is no file; names of data sets need ir_datasets: pip install ir-datasets."
        ) from None
    try:
        dataset = ir_datasets.load(name)
    except KeyError:
        raise InputError(f"{name}: neither a file nor a data set that ir_datasets knows.") from None
    if not getattr(dataset, f"has_{what}")():
        raise InputError(
            f"{name}: this data set of ir_datasets has no {what}; one of its parts may, as in {name}/test."
        )
    try:
        return list(getattr(dataset, f"{what}_iter")())
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{name}: ir_datasets can't fetch the {what} ({type(error).__name__}): is there a network?"
        ) from None
