"""Readers: one file per input format, and the choice among them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.readers.base import Entry, Reader, VectorStore
from opensearch_multivector.indexing.readers.beir import beir_corpus, beir_reader, is_beir
from opensearch_multivector.indexing.readers.folder import FolderReader
from opensearch_multivector.indexing.readers.json_values import JsonValuesReader, is_one_a_line
from opensearch_multivector.indexing.readers.jsonl import JsonlReader
from opensearch_multivector.indexing.readers.mappings import MappingsReader
from opensearch_multivector.indexing.readers.npy import NpyVectors
from opensearch_multivector.indexing.readers.npz import NpzVectors
from opensearch_multivector.indexing.readers.parquet import ParquetReader
from opensearch_multivector.indexing.readers.vector_file import VectorFileReader
from opensearch_multivector.indexing.records import Layout, RejectedError

__all__ = ["STDIN", "Documents", "Entry", "Reader", "VectorStore", "brings_vectors", "files_of", "open_reader"]

Documents = str | Path | Iterable[Mapping[str, Any]]
STDIN = "-"
_LOOK_AT = 64
_STORES: dict[str, Callable[[Path], VectorStore]] = {".npz": NpzVectors, ".npy": NpyVectors}
_JSONL = (".jsonl", ".json", ".ndjson", ".gz")
_FORMATS = (
    "a BEIR folder, a folder of .json and .jsonl files, .jsonl or .json (plain or gzip), .parquet, .npz, .npy, or - "
    "for JSON lines on standard input"
)


def open_reader(documents: Documents, layout: Layout, vectors: Path | None = None) -> Reader:
    """The reader for a path, `-`, or mappings.

    ``vectors``: a `.npz` or `.npy` file with the documents' token vectors. Raises InputError on a path that is not
    there or of no known format.
    """
    store = _open_store(vectors) if vectors else None
    if store:
        layout = replace(layout, ready=True)
    if not isinstance(documents, str | Path):
        if store:
            raise InputError("a vector file goes with a file of documents, not with mappings: put the vectors in them")
        return MappingsReader(documents, layout)
    if str(documents) == STDIN:
        return JsonlReader(None, layout, store)
    path = Path(documents)
    if not os.path.exists(path):  # noqa: PTH110 - of a name that no file can have pathlib raises
        raise InputError(f"{path} does not exist; documents can be {_FORMATS}")
    if path.is_dir():
        files = [] if is_beir(path) else _json_files(path)
        if not files:
            return beir_reader(path, layout, store)
        if store:
            raise InputError(f"--vectors goes with JSON lines or a BEIR folder, not with the files of {path}")
        return FolderReader(path, files, lambda file: _json_reader(file, layout))
    suffix = path.suffix.lower()
    if suffix in _JSONL:
        return _json_reader(path, layout, store)
    if store:
        raise InputError(f"--vectors goes with JSON lines or a BEIR folder, not with {path}")
    if suffix == ".parquet":
        return ParquetReader(path, layout)
    if suffix in _STORES:
        return VectorFileReader(path, layout, _STORES[suffix](path))
    raise InputError(f"{path} is of no known format; documents can be {_FORMATS}")


def brings_vectors(documents: Documents, layout: Layout) -> bool:
    """Whether documents bring their token vectors, as far as can be told without consuming them.

    A vector file does; JSON lines and Parquet do where one of the first records has them in ``vectors_field``. Raises
    InputError as `open_reader`.
    """
    if not isinstance(documents, str | Path) or str(documents) == STDIN:
        return False
    open_reader(documents, layout)
    if Path(documents).suffix.lower() in _STORES:
        return True
    try:
        reader = open_reader(documents, replace(layout, ready=True))
    except InputError:
        return False
    for entry in islice(reader.entries(), _LOOK_AT):
        with contextlib.suppress(RejectedError):
            reader.parse(entry)
            return True
    return False


def files_of(documents: Path) -> list[Path]:
    """The files that documents at a path are read from, in order. Raises InputError where there are none."""
    if not documents.exists():
        raise InputError(f"{documents} does not exist; documents can be {_FORMATS}")
    if documents.is_dir():
        files = [] if is_beir(documents) else _json_files(documents)
        return files or [beir_corpus(documents)]
    beside = [documents.with_suffix(suffix) for suffix in NpyVectors.beside] if documents.suffix == ".npy" else []
    return [documents, *(path for path in beside if path.exists())]


def _json_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if _is_json(file))


def _is_json(path: Path) -> bool:
    return path.suffix.lower() in _JSONL and not path.name.startswith(".") and path.is_file()


def _json_reader(path: Path, layout: Layout, store: VectorStore | None = None) -> Reader:
    """By what is in it: lines, or else an array or objects over several lines. `.jsonl` is always lines."""
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".jsonl", ".ndjson")) or is_one_a_line(path):
        return JsonlReader(path, layout, store)
    if store:
        raise InputError(f"--vectors goes with JSON lines or a BEIR folder, not with {path}, which is no JSON lines")
    return JsonValuesReader(path, layout)


def _open_store(path: Path) -> VectorStore:
    store = _STORES.get(path.suffix.lower())
    if store is None:
        raise InputError(f"{path}: token vectors come in .npz or .npy files")
    return store(path)
