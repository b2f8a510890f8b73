"""JSON lines: plain, gzip (told by its first bytes, not by its name) or standard input."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.readers.base import DIGEST_BYTES, Entry, VectorStore, chain
from opensearch_multivector.indexing.readers.streams import open_bytes, size_of
from opensearch_multivector.indexing.records import Layout, Record, RejectedError, make_record

_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 16
_SHOWN_OF_OVERLONG = 1_000


@dataclass(frozen=True, slots=True)
class _Line:
    """``content``: no newline, cut where it is longer than a record may be. ``position``: among non-blank lines."""

    content: bytes
    length: int
    position: int


class JsonlReader:
    """One JSON object a line; blank lines are passed over. ``path`` None: standard input.

    ``store``: token vectors from a file of their own, by id or by position among the non-blank lines.
    """

    def __init__(self, path: Path | None, layout: Layout, store: VectorStore | None = None) -> None:
        self.name = str(path.resolve()) if path else "-"
        self.size = size_of(path) if path else None
        self.rewindable = path is not None
        self.ready = layout.ready
        self._path = path
        self._layout = layout
        self._store = store

    @property
    def seed(self) -> bytes:
        """See `Reader`."""
        return chain(b"jsonl", repr(self._layout).encode(), self._store.signature() if self._store else b"")

    def entries(self) -> Iterator[Entry]:
        """See `Reader`."""
        digest = self.seed
        line = position = consumed = 0
        with open_bytes(self._path) as (raw, stream):
            compressed = raw is not stream
            while True:
                hasher = hashlib.blake2b(digest, digest_size=DIGEST_BYTES)
                try:
                    content, length = _read_line(stream, self._layout.max_bytes, hasher)
                except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                    raise InputError(f"{self.name}: gzip data is broken after line {line}: {error}") from None
                if not length:
                    break
                line += 1
                consumed = raw.tell() if compressed and self.size else consumed + length
                digest = hasher.digest()
                cut = length > len(content)
                if line == 1:
                    content = content.removeprefix(_BOM)
                content = content.rstrip(b"\r\n")
                if not content.strip():
                    continue
                yield Entry(line, _Line(content, length if cut else len(content), position), digest, consumed)
                position += 1
        if self._store and self._store.ids() is None and position < self._store.count:
            raise InputError(
                f"{self.name} has {position:,} documents but the vector file {self._store.count:,}: "
                "they go together by position, so check that both are whole"
            )

    def parse(self, entry: Entry) -> Record:
        """See `Reader`."""
        line: _Line = entry.raw
        if line.length > self._layout.max_bytes:
            raise RejectedError(
                f"{line.length:,} bytes long, more than the {self._layout.max_bytes:,} a record may have"
            )
        try:
            value = json.loads(line.content.decode())
        except UnicodeDecodeError as error:
            raise RejectedError(f"invalid UTF-8 at byte {error.start + 1}") from None
        except RecursionError:
            raise RejectedError("JSON is nested too deeply") from None
        except ValueError as error:
            raise RejectedError(f"not JSON: {error}") from None
        if not isinstance(value, dict):
            raise RejectedError("not a JSON object")
        record = make_record(value, self._layout, vectors_elsewhere=self._store is not None)
        if self._store is None:
            return record
        return replace(record, vectors=self._store.vectors(line.position, record.doc_id))

    def show(self, entry: Entry) -> str:
        """See `Reader`."""
        line: _Line = entry.raw
        cut = line.length > self._layout.max_bytes
        content = line.content[:_SHOWN_OF_OVERLONG] if cut else line.content
        return content.decode(errors="backslashreplace") + ("..." if cut else "")


def _read_line(stream: io.BufferedReader | gzip.GzipFile, limit: int, hasher: hashlib.blake2b) -> tuple[bytes, int]:
    """The next line, cut at ``limit`` bytes, and its whole length; 0 at the end. Hashes all of it."""
    # Room for the line's own end, so that a record of exactly the limit passes.
    content = part = stream.readline(limit + 2)
    length = 0
    while part:
        length += len(part)
        hasher.update(part)
        if part.endswith(b"\n") or length < limit + 2:
            break
        part = stream.readline(_CHUNK)
    return content, length
