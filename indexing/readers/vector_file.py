"""A file of token vectors alone, without texts: `.npz`, or `.npy` with its ids beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.readers.base import Entry, VectorStore, chain
from opensearch_multivector.indexing.records import Layout, Record, make_record


class VectorFileReader:
    """Documents that are an id and token vectors."""

    def __init__(self, path: Path, layout: Layout, store: VectorStore) -> None:
        ids = store.ids()
        if ids is None:
            raise InputError(f"{path} has no ids: put {path.stem}.ids.txt beside it, or give a file of documents too")
        self.name = str(path.resolve())
        self.size: int | None = store.count
        self.rewindable = True
        self.ready = True
        self._ids = ids
        self._layout = replace(layout, ready=True, id_field="_id")
        self._store = store

    @property
    def seed(self) -> bytes:
        """See `Reader`."""
        return chain(b"vectors", repr(self._layout).encode())

    def entries(self) -> Iterator[Entry]:
        """See `Reader`; the n-th array is line n."""
        digest = self.seed
        for position, doc_id in enumerate(self._ids):
            digest = chain(digest, doc_id.encode(errors="backslashreplace"), b"\0", self._store.content(position))
            yield Entry(position + 1, doc_id, digest, position + 1)

    def parse(self, entry: Entry) -> Record:
        """See `Reader`."""
        record = make_record({"_id": entry.raw}, self._layout, vectors_elsewhere=True)
        return replace(record, vectors=self._store.vectors(entry.line - 1, record.doc_id))

    def show(self, entry: Entry) -> str:
        """See `Reader`."""
        return str(entry.raw)
