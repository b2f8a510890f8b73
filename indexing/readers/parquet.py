"""Parquet: a row a document; token vectors, where there are any, in a column of lists of lists of floats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from opensearch_multivector.errors import InputError, MissingDependencyError
from opensearch_multivector.indexing.readers.base import Entry, chain
from opensearch_multivector.indexing.records import Layout, Record, RejectedError, make_record, token_vectors

_ROWS_AT_ONCE = 64


class ParquetReader:
    """Rows in order; the n-th row is line n. Memory holds a few rows, not the file."""

    def __init__(self, path: Path, layout: Layout) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise MissingDependencyError(
                'reading Parquet needs pyarrow: pip install "opensearch-multivector[parquet]"'
            ) from None
        try:
            self._file = pyarrow.parquet.ParquetFile(path)
        except (OSError, pyarrow.ArrowInvalid) as error:
            raise InputError(f"{path} is no readable Parquet file: {error}") from None
        names = self._file.schema_arrow.names
        self.name = str(path.resolve())
        self.size: int | None = self._file.metadata.num_rows
        self.rewindable = True
        self.ready = layout.ready and layout.vectors_field in names
        if layout.ready and not self.ready:
            raise InputError(f"{path} has no column {layout.vectors_field!r}; its columns are: {', '.join(names)}")
        self._layout = layout

    @property
    def seed(self) -> bytes:
        """See `Reader`."""
        return chain(b"parquet", repr(self._layout).encode())

    def entries(self) -> Iterator[Entry]:
        """See `Reader`."""
        digest, line = self.seed, 0
        batches = self._file.iter_batches(batch_size=_ROWS_AT_ONCE)
        while True:
            try:
                batch = next(batches, None)
            except OSError as error:
                raise InputError(f"{self.name} is broken after row {line}: {error}") from None
            if batch is None:
                return
            names = batch.schema.names
            own = [name for name in names if not (self.ready and name == self._layout.vectors_field)]
            for number, fields in enumerate(batch.select(own).to_pylist()):
                vectors: Any = None
                if self.ready:
                    vectors = _rows(batch.column(names.index(self._layout.vectors_field))[number])
                line += 1
                digest = chain(digest, _as_text(fields).encode(errors="backslashreplace"), b"\0", _content(vectors))
                yield Entry(line, (fields, vectors), digest, line)

    def parse(self, entry: Entry) -> Record:
        """See `Reader`."""
        fields, vectors = entry.raw
        record = make_record(fields, self._layout, vectors_elsewhere=self.ready)
        if not self.ready:
            return record
        if vectors is None:
            raise RejectedError(f"column {self._layout.vectors_field!r} is empty", record.doc_id)
        return replace(record, vectors=token_vectors(vectors, record.doc_id))

    def show(self, entry: Entry) -> str:
        """See `Reader`; the row without its vectors."""
        return _as_text(entry.raw[0])


def _rows(scalar: Any) -> Any:
    """One document's cell to an array, or to nested lists where its rows differ in length (which `parse` rejects)."""
    if not scalar.is_valid:
        return None
    rows = scalar.values
    try:
        return np.stack([row.values.to_numpy(zero_copy_only=False) for row in rows]) if len(rows) else []
    except (AttributeError, ValueError):
        return scalar.as_py()


def _content(vectors: Any) -> bytes:
    return vectors.tobytes() if isinstance(vectors, np.ndarray) else repr(vectors).encode()


def _as_text(fields: dict[str, Any]) -> str:
    return json.dumps(fields, default=str)
