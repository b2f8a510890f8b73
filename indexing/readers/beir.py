"""A BEIR folder: its `corpus.jsonl`, plain or gzip, with `_id`, `title`, `text` and whatever else a line holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.readers.base import VectorStore
from opensearch_multivector.indexing.readers.jsonl import JsonlReader
from opensearch_multivector.indexing.records import Layout

_NAMES = ("corpus.jsonl", "corpus.jsonl.gz")
_BESIDE = ("queries.jsonl", "queries.jsonl.gz", "qrels")


def is_beir(folder: Path) -> bool:
    """Whether a folder looks like BEIR's, be it that its corpus is missing."""
    return any((folder / name).exists() for name in (*_NAMES, *_BESIDE))


def beir_corpus(folder: Path) -> Path:
    """The file of a BEIR folder's documents. Raises InputError where there is none."""
    path = next((folder / name for name in _NAMES if (folder / name).is_file()), None)
    if path is None:
        raise InputError(f"{folder} is no BEIR folder: it has neither {' nor '.join(_NAMES)}, nor other JSON files")
    return path


def beir_reader(folder: Path, layout: Layout, store: VectorStore | None = None) -> JsonlReader:
    """The reader of a BEIR folder's corpus. Raises InputError where there is none."""
    path = beir_corpus(folder)
    return JsonlReader(path, replace(layout, id_field=layout.id_field or "_id"), store)
