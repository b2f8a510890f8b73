"""Topics and judgements of a test collection in BEIR's layout (Thakur et al. 2021), or with TREC qrels.

A folder holds ``corpus.jsonl``, ``queries.jsonl`` (``{"_id", "text"}`` a line) and ``qrels/<split>.tsv`` with a header
(``query-id corpus-id score``); each may be gzipped. TREC qrels (``qid 0 docid grade``) are read as well.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.readers.beir import is_beir
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms

CORPUS_FILES = ["corpus.jsonl", "corpus.jsonl.gz"]
Topics = dict[str, str | EncodedQuery]
Qrels = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Collection:
    """What an evaluation asks and expects.

    ``topics``: text or ready query by query id, only those with judgements, in the file's order. ``qrels``: grade by
    document id by query id, only of these topics. ``unjudged``: topics left out for want of judgements. ``unasked``:
    query ids of the qrels that the topics file lacks. ``files``: what it was read from ("topics", "qrels"), and its
    "corpus".
    """

    name: str
    topics: Topics
    qrels: Qrels
    unjudged: int
    unasked: int
    files: Mapping[str, Path] = field(default_factory=dict)


def read_collection(folder: Path, split: str = "test") -> Collection:
    """Read topics and judgements of a BEIR folder. Raises InputError naming the file and line at fault."""
    files = collection_files(folder, split)
    return judged_topics(folder.resolve().name, read_topics(files["topics"]), read_qrels(files["qrels"]), files)


def collection_files(folder: Path, split: str = "test") -> dict[str, Path]:
    """The files of a BEIR folder, as `Collection.files`. Raises InputError where topics or judgements are missing."""
    if folder.is_file():
        raise InputError(f"{folder}: documents that are no BEIR folder go with --topics and --qrels.")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; a BEIR folder with queries.jsonl and qrels/{split}.tsv is needed.")
    topics = existing(folder, ["queries.jsonl", "queries.jsonl.gz"], "topics")
    suffixes = ("tsv", "tsv.gz", "txt", "qrels")
    qrels = existing(folder, [f"qrels/{split}.{suffix}" for suffix in suffixes], f"judgements of split {split!r}")
    return {"topics": topics, "qrels": qrels} | corpus_file(folder)


def judged_topics(name: str, topics: Topics, qrels: Qrels, sources: Mapping[str, str | Path]) -> Collection:
    """The collection of these. ``sources``: where they are from, as `Collection.files`; one that is no file by a name.

    Raises InputError where no topic is judged.
    """
    judged = {query_id: query for query_id, query in topics.items() if query_id in qrels}
    if not judged:
        raise InputError(
            f"{sources['qrels']}: none of its query ids is in {sources['topics']}; these don't belong together."
        )
    return Collection(
        name=name,
        topics=judged,
        qrels={query_id: qrels[query_id] for query_id in judged},
        unjudged=len(topics) - len(judged),
        unasked=len(qrels.keys() - topics.keys()),
        files={what: source for what, source in sources.items() if isinstance(source, Path)},
    )


def corpus_file(documents: Path) -> dict[str, Path]:
    """A file or folder of documents as an entry of `Collection.files`; empty where a BEIR folder has none."""
    path = next((documents / name for name in CORPUS_FILES if (documents / name).is_file()), None)
    if path is None and not is_beir(documents):
        path = documents
    return {"corpus": path} if path else {}


def read_topics(
    path: Path,
    id_fields: Sequence[str] = ("_id",),
    text_fields: Sequence[str] = ("text",),
    vector_field: str | None = None,
) -> Topics:
    """Queries by query id from a JSONL file, in its order; of the fields the first that a line has.

    Raises InputError with file and line.
    """
    topics: Topics = {}
    for number, line in numbered_lines(path):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number}: not JSON ({error.msg} at column {error.colno}).") from None
        fields = entry if isinstance(entry, dict) else {}
        query_id = next((fields[field] for field in id_fields if field in fields), None)
        if not isinstance(query_id, str | int) or query_id == "":
            ids = " or ".join(f'"{field}"' for field in id_fields)
            raise InputError(f"{path}:{number}: a topic is an object with an id and a text; {ids} is missing.")
        query = query_of(fields, text_fields, vector_field, f"{path}:{number}")
        add_topic(topics, str(query_id), query, f"{path}:{number}")
    if not topics:
        raise InputError(f"{path}: holds no topics.")
    return topics


def query_of(
    fields: Mapping[str, Any], text_fields: Sequence[str], vector_field: str | None, place: str
) -> str | EncodedQuery:
    """What a topic asks: its text, or where it has a vector or weights of terms, a ready query.

    Raises InputError, naming the topic's place, on what is neither a list of numbers nor weights by term.
    """
    text = next((fields[field] for field in text_fields if field in fields), None)
    text = text if isinstance(text, str) else ""
    if vector_field is None or (vector := fields.get(vector_field)) is None:
        return text
    if isinstance(vector, Mapping):
        try:
            return EncodedQuery(text=text or None, terms=QueryTerms.ready(vector))
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
    numbers = isinstance(vector, list) and all(isinstance(value, int | float) for value in vector)
    if not numbers or not vector or not np.isfinite(vector).all():
        raise InputError(f'{place}: "{vector_field}" is neither a list of numbers nor weights by term.')
    return EncodedQuery(text=text or None, pooled=np.array(vector, np.float32))


def add_topic(topics: Topics, query_id: str, query: str | EncodedQuery, place: str) -> None:
    """Put a topic with the others. Raises InputError, naming its place, where its text is blank or its id was seen."""
    if isinstance(query, str) and not query.strip():
        raise InputError(f"{place}: topic {query_id!r} has no text.")
    if query_id in topics:
        raise InputError(f"{place}: topic {query_id!r} appears a second time.")
    topics[query_id] = query


def read_qrels(path: Path) -> Qrels:
    """Grades by document id by query id, from BEIR's three columns or TREC's four.

    Columns are split at tabs where a line has them, so that ids may hold blanks, else at white space. Raises InputError
    with file and line.
    """
    qrels: Qrels = {}
    for number, line in numbered_lines(path):
        columns = [column.strip() for column in line.split("\t")] if "\t" in line else line.split()
        if len(columns) == 4:
            query_id, _, doc_id, grade = columns
        elif len(columns) == 3:
            query_id, doc_id, grade = columns
        else:
            raise InputError(
                f"{path}:{number}: {len(columns)} columns; a judgement is `query-id corpus-id score` (BEIR) or "
                "`qid 0 docid grade` (TREC)."
            )
        try:
            value = int(grade)
        except ValueError:
            if number == 1 and len(columns) == 3:
                continue  # BEIR's header
            raise InputError(f"{path}:{number}: the grade {grade!r} is not a whole number.") from None
        if not query_id or not doc_id:
            raise InputError(f"{path}:{number}: an id is empty.")
        of_topic = qrels.setdefault(query_id, {})
        if of_topic.setdefault(doc_id, value) != value:
            raise InputError(f"{path}:{number}: document {doc_id!r} has two different grades for topic {query_id!r}.")
    if not qrels:
        raise InputError(f"{path}: holds no judgements.")
    return qrels


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file, gzipped or not, that are not blank, with their numbers from 1."""
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 somewhere after line {number}.") from None
    except EOFError:
        raise InputError(f"{path}: the gzip file is cut after line {number}; fetch it again.") from None
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error}).") from None


def existing(folder: Path, names: list[str], what: str) -> Path:
    """The first of these files that the folder has. Raises InputError where it has none."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder}: no {what} here; one of {', '.join(names)} is needed.")
