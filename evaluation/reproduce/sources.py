"""Where a row's documents, topics, judgements and models come from: the data folder, packages, a network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from opensearch_multivector.encoding.encoders import load_encoder, load_term_encoder
from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.errors import InputError, MissingDependencyError, OsmvError
from opensearch_multivector.evaluation.collection.beir import Collection, collection_files, corpus_file, judged_topics
from opensearch_multivector.evaluation.collection.corpus_index import Corpus
from opensearch_multivector.evaluation.collection.topics import TOKENS, qrels_of, topics_of
from opensearch_multivector.evaluation.provenance import sha256
from opensearch_multivector.evaluation.reproduce.matrix import NONE, CollectionChoice, IndexChoice
from opensearch_multivector.indexing.readers import files_of

# What data sets call a document's text, where it has a title beside it.
_TEXT_FIELDS = ("text", "body", "contents", "abstract")


class UnavailableError(OsmvError):
    """A collection or a model that can't be had here; the message says why."""


@dataclass(frozen=True)
class Source:
    """A collection's parts: each a path that is there, or a name that a package may know."""

    name: str
    documents: Path | str
    topics: Path | str
    qrels: Path | str

    @cached_property
    def digest(self) -> str:
        """Of what the files hold; what a name stands for is taken to stay as it is. Raises UnavailableError."""
        with _unavailable(f"collection {self.name!r}"):
            corpus = files_of(self.documents) if isinstance(self.documents, Path) else [self.documents]
            parts = [_digest(part) for part in (*corpus, self.topics, self.qrels)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def collection(self) -> Collection:
        """Topics and judgements. Raises UnavailableError."""
        sources: dict[str, Path | str] = {"topics": self.topics, "qrels": self.qrels}
        if isinstance(self.documents, Path):
            sources |= corpus_file(self.documents) if self.documents.is_dir() else {"corpus": self.documents}
        with _unavailable(f"collection {self.name!r}"):
            return judged_topics(self.name, topics_of(str(self.topics)), qrels_of(str(self.qrels)), sources)

    def corpus(self) -> Path | Corpus:
        """The documents, for `index_corpus`. Raises UnavailableError."""
        if isinstance(self.documents, Path):
            return self.documents
        with _unavailable(f"collection {self.name!r}"):
            return _dataset_corpus(self.documents)


def find_source(name: str, choice: CollectionChoice, data: Path) -> Source:
    """A collection's parts, looked for below ``data`` first. Raises UnavailableError."""
    folder = data / choice.folder
    if choice.folder and folder.is_dir():
        with _unavailable(f"collection {name!r}"):
            files = collection_files(folder, choice.split)
        return Source(name, folder, files["topics"], files["qrels"])
    if not choice.documents:
        raise UnavailableError(f"collection {name!r}: there is no folder {folder}; --data says where collections lie")
    return Source(name, *(_below(data, part) for part in (choice.documents, choice.topics, choice.qrels)))


def _below(data: Path, part: str) -> Path | str:
    """A path below ``data``, also one that is to be read as tokens; else the name as it is."""
    prefix = TOKENS if part.startswith(TOKENS) else ""
    path = data / part.removeprefix(prefix)
    if not path.exists():
        return part
    return f"{prefix}{path}" if prefix else path


@dataclass
class Models:
    """Encoders by how they are asked for; the last of each kind is kept, as rows in a line mostly share theirs."""

    _encoder: tuple[Any, Encoder] | None = field(default=None, init=False)
    _terms: tuple[str, TermEncoder] | None = field(default=None, init=False)

    def encoder(self, index: IndexChoice) -> Encoder | None:
        """Of token vectors; None where there are none or documents bring them. Raises UnavailableError."""
        if index.no_vectors or index.encoder == NONE:
            return None
        key = (index.encoder, index.max_length, index.query_length)
        if self._encoder is None or self._encoder[0] != key:
            self._encoder = None  # the memory first
            with _unavailable(f"encoder {index.encoder!r}"):
                encoder = load_encoder(index.encoder, max_length=index.max_length, query_length=index.query_length)
            self._encoder = key, encoder
        return self._encoder[1]

    def term_encoder(self, name: str | None) -> TermEncoder | None:
        """Of SLIM's terms; None where there is none. Raises UnavailableError."""
        if name is None:
            return None
        if self._terms is None or self._terms[0] != name:
            self._terms = None
            with _unavailable(f"term encoder {name!r}"):
                self._terms = name, load_term_encoder(name)
        return self._terms[1]


def _digest(part: Path | str) -> str:
    path = part if isinstance(part, Path) else Path(part.removeprefix(TOKENS))
    return sha256(path) if path.is_file() else str(part)


@contextmanager
def _unavailable(what: str) -> Iterator[None]:
    try:
        yield
    except (InputError, MissingDependencyError) as error:
        raise UnavailableError(f"{what}: {error}") from None


def _dataset_corpus(name: str) -> Corpus:
    """The documents of a data set of ir_datasets, fetched here where that has not been done."""
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
    if not dataset.has_docs():
        raise InputError(f"{name}: this data set of ir_datasets has no documents.")
    try:
        next(iter(dataset.docs_iter()), None)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{name}: ir_datasets can't fetch the documents ({type(error).__name__}): is there a network?"
        ) from None
    return Corpus(f"ir_datasets {name}", lambda: map(_record, dataset.docs_iter()))


def _record(document: Any) -> Mapping[str, Any]:
    """A document of ir_datasets as `indexing` takes it, with all its fields that are texts."""
    fields = {key: value for key, value in document._asdict().items() if key != "doc_id" and isinstance(value, str)}
    text = next((fields[key] for key in _TEXT_FIELDS if key in fields), None)
    return {**fields, "_id": document.doc_id, "text": document.default_text() if text is None else text}
