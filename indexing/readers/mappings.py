"""Documents that a program hands over as mappings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from opensearch_multivector.indexing.readers.base import Entry, chain
from opensearch_multivector.indexing.records import Layout, Record, RejectedError, make_record


class MappingsReader:
    """The n-th mapping is line n. An iterator can be read once, a list again: only the latter is resumable."""

    def __init__(self, documents: Iterable[Mapping[str, Any]], layout: Layout, name: str = "documents") -> None:
        self.name = name
        self.size: int | None = len(documents) if isinstance(documents, list | tuple) else None
        self.rewindable = not isinstance(documents, Iterator)
        self.ready = layout.ready
        self._documents = documents
        self._layout = layout

    @property
    def seed(self) -> bytes:
        """See `Reader`."""
        return chain(b"mappings", repr(self._layout).encode())

    def entries(self) -> Iterator[Entry]:
        """See `Reader`."""
        digest = self.seed
        for line, document in enumerate(self._documents, start=1):
            digest = chain(digest, json.dumps(document, default=_content).encode())
            yield Entry(line, document, digest, line)

    def parse(self, entry: Entry) -> Record:
        """See `Reader`."""
        if not isinstance(entry.raw, Mapping):
            raise RejectedError("not a mapping")
        return make_record(entry.raw, self._layout)

    def show(self, entry: Entry) -> str:
        """See `Reader`."""
        return json.dumps(entry.raw, default=str)


def _content(value: object) -> str:
    return value.tobytes().hex() if isinstance(value, np.ndarray) else str(value)
