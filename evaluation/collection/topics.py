"""Topics and judgements from wherever a researcher has them: a file of any usual form, or a name of ir_datasets or
Pyserini.

Topics, told by a file's first line::

    qid<TAB>text                                      MS MARCO's and Pyserini's TSV
    {"_id": .., "text": ..}                           JSON lines, BEIR's; also id, qid, query_id and title, query
    {"qid": .., "vector": ..}                         ready queries: a list (pooled vector) or {term: weight}
    <top> <num> Number: 301 <title> ... </top>        TREC's, of which the title (Microblog: the query) is asked
    <topic number="51"> <query> ... </topic>          XML of the Web tracks, of TREC-COVID, of NTCIR

``tokens:`` before a source makes ready queries of its texts: words are terms, and weigh as often as they stand there
(uniCOIL's and SPLADE's topics). Judgements: TREC's four columns or BEIR's three (`beir.read_qrels`). Files may be
gzipped.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from opensearch_multivector.errors import InputError, MissingDependencyError
from opensearch_multivector.evaluation.collection import pyserini_names
from opensearch_multivector.evaluation.collection.beir import (
    Collection,
    Qrels,
    Topics,
    add_topic,
    corpus_file,
    judged_topics,
    numbered_lines,
    query_of,
    read_collection,
    read_qrels,
    read_topics,
)
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms

TOKENS = "tokens:"
_ID_FIELDS = ("_id", "id", "qid", "query_id")
_TEXT_FIELDS = ("text", "title", "query")
# A tag at the start of a line, and the word that TREC puts behind some of them.
_TAG = re.compile(r"\s*<(/?\w+)\b[^>]*>\s*(?:(?:Number|Topic)\s*:)?", re.IGNORECASE)
_CLOSING = re.compile(r"</\w+>")
_TOP = re.compile(r"\s*<top\b", re.IGNORECASE)


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
    given = {"topics": topics.removeprefix(TOKENS), "qrels": qrels}
    sources = {what: Path(source) if Path(source).exists() else source for what, source in given.items()}
    name = folder.resolve().name if folder else Path(given["topics"]).name
    return judged_topics(name, topics_of(topics), qrels_of(qrels), sources | (corpus_file(folder) if folder else {}))


def topics_of(source: str) -> Topics:
    """Texts or ready queries by query id, in their order.

    Raises InputError with file and line, MissingDependencyError.
    """
    if source.startswith(TOKENS) and not Path(source).exists():
        return {
            query_id: query if isinstance(query, EncodedQuery) else _counted(query)
            for query_id, query in topics_of(source.removeprefix(TOKENS)).items()
        }
    path = Path(source)
    if not path.exists():
        return _named_topics(source)
    _, first = next(numbered_lines(path), (0, ""))
    if first.lstrip("\ufeff \t").startswith("<"):
        topics = _tagged_topics(path)
    elif first.lstrip("\ufeff \t").startswith("{"):
        topics = read_topics(path, _ID_FIELDS, _TEXT_FIELDS, "vector")
    else:
        topics = _tsv_topics(path)
    if not topics:
        raise InputError(f"{path}: holds no topics.")
    return topics


def qrels_of(source: str) -> Qrels:
    """Grades by document id by query id. Raises as `topics_of`."""
    if Path(source).exists():
        return read_qrels(Path(source))
    if (dataset := _dataset(source)) is None:
        return read_qrels(pyserini_names.qrels_file(source))
    qrels: Qrels = {}
    for judgement in _of_dataset(dataset, source, "qrels"):
        qrels.setdefault(judgement.query_id, {})[judgement.doc_id] = int(judgement.relevance)
    return qrels


def _counted(text: str) -> EncodedQuery:
    return EncodedQuery(text=text, terms=QueryTerms.ready(Counter(text.split())))


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


def _tagged_topics(path: Path) -> Topics:
    lines = list(numbered_lines(path))
    return _trec_topics(path, lines) if any(_TOP.match(line) for _, line in lines) else _xml_topics(path, lines)


def _trec_topics(path: Path, lines: list[tuple[int, str]]) -> Topics:
    topics: Topics = {}
    found: dict[str, str] = {}
    start = 0
    reading = ""

    def finish() -> None:
        if not start:
            return
        number, title, query = (" ".join(found.get(tag, "").split()) for tag in ("num", "title", "query"))
        title = title or query
        if not number or not title:
            raise InputError(f"{path}:{start}: the topic that begins here has no {'<title>' if number else '<num>'}.")
        add_topic(topics, _number(number), title, f"{path}:{start}")

    for line_number, line in lines:
        tag = _TAG.match(line)
        text = line
        if tag:
            reading, text = tag[1].lower(), line[tag.end() :]
            if reading == "top":
                finish()
                found, start = {}, line_number
        if reading in ("num", "title", "query"):
            found[reading] = f"{found.get(reading, '')} {_CLOSING.sub(' ', text)}"
    finish()
    return topics


def _number(text: str) -> str:
    """A topic's number as Anserini takes it and judgements have it: 51 for 051, 1 for MB001, 26 for AR26."""
    numbered = re.fullmatch(r"[A-Za-z]*([0-9]+)", text)
    return str(int(numbered[1])) if numbered else text


def _xml_topics(path: Path, lines: list[tuple[int, str]]) -> Topics:
    try:
        root = ElementTree.fromstring("\n".join(line for _, line in lines).lstrip("\ufeff \t"))
    except ElementTree.ParseError as error:
        raise InputError(f"{path}:{lines[error.position[0] - 1][0]}: no XML ({error}).") from None
    topics: Topics = {}
    for element in root.iter():
        number = element.get("number") if element.tag == "topic" else _text(element, "qid")
        if number:
            query = _text(element, "query") or _text(element, "content") or _text(element, "title")
            add_topic(topics, _number(number.strip()), query, str(path))
    if not topics:
        raise InputError(
            f"{path}: holds no <top> and no <topic number=...>; topics are also `qid<TAB>text` or JSON lines."
        )
    return topics


def _text(element: ElementTree.Element, tag: str) -> str:
    return " ".join((element.findtext(tag) or "").split())


def _named_topics(name: str) -> Topics:
    topics: Topics = {}
    if (dataset := _dataset(name)) is None:
        for query_id, fields in pyserini_names.topics(name).items():
            add_topic(topics, query_id, query_of(fields, _TEXT_FIELDS, "vector", name), name)
        return topics
    for query in _of_dataset(dataset, name, "queries"):
        text = next((getattr(query, field) for field in _TEXT_FIELDS if hasattr(query, field)), "")
        add_topic(topics, query.query_id, text, name)
    return topics


def _dataset(name: str) -> Any:
    """A data set of ir_datasets; None where it knows no such name, or is not there and Pyserini is."""
    try:
        import ir_datasets
    except ImportError:
        if pyserini_names.installed():
            return None
        raise MissingDependencyError(
            f"{name} is no file; names of data sets need ir_datasets (pip install ir-datasets) or Pyserini."
        ) from None
    try:
        return ir_datasets.load(name)
    except KeyError:
        if pyserini_names.installed():
            return None
        raise InputError(f"{name}: neither a file nor a data set that ir_datasets knows.") from None


def _of_dataset(dataset: Any, name: str, what: str) -> list[Any]:
    """All queries or qrels of a data set of ir_datasets, which downloads them where that has not been done."""
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
