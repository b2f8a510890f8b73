"""What every reader gives: entries in a fixed order, each hashed into a chain, parsed only when wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.indexing.records import Record

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One record, not yet parsed.

    ``line``: its number from 1 (a row or array where the format has no lines). ``digest``: BLAKE2b over the digest of
    the entry before and this entry's content, so equal digests mean equal input up to here. ``consumed``: how much of
    the reader's ``size`` is behind it.
    """

    line: int
    raw: Any
    digest: bytes
    consumed: int


class Reader(Protocol):
    """A source of documents.

    ``name`` identifies it in checkpoints; ``size`` is the total in the unit of `Entry.consumed`, None where unknown;
    ``rewindable``: `entries` can be called again and starts over. ``ready``: it brings token vectors.
    """

    name: str
    size: int | None
    rewindable: bool
    ready: bool

    @property
    def seed(self) -> bytes:
        """Digest before the first entry: covers the options that decide what a record becomes."""

    def entries(self) -> Iterator[Entry]:
        """The entries in order. Raises InputError where the input as a whole is broken."""

    def parse(self, entry: Entry) -> Record:
        """The record of an entry. Raises RejectedError."""

    def show(self, entry: Entry) -> str:
        """The entry as it goes into a dead letter."""


class VectorStore(Protocol):
    """Token vectors in a file of their own. ``count``: documents in it."""

    count: int

    def signature(self) -> bytes:
        """Changes when the file does."""

    def ids(self) -> list[str] | None:
        """Document ids in order, or None where the file has none and vectors go by position."""

    def content(self, position: int) -> bytes:
        """Bytes that change when the vectors of the document at this position (from 0) do."""

    def vectors(self, position: int, doc_id: str) -> FloatArray:
        """(n_tokens, dim) float32 of a document. Raises RejectedError."""


def chain(previous: bytes, *content: bytes | memoryview) -> bytes:
    """The next digest of the chain."""
    digest = hashlib.blake2b(previous, digest_size=DIGEST_BYTES)
    for part in content:
        digest.update(part)
    return digest.digest()
