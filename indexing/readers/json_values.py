"""JSON that is not one object a line: an array of objects, or objects one after the other over several lines each.

So Pyserini's `JsonCollection` may come, beside JSON lines.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.readers.base import Entry, chain
from opensearch_multivector.indexing.readers.streams import open_bytes, size_of
from opensearch_multivector.indexing.records import Layout, Record, RejectedError, make_record

_CHUNK = 1 << 16
_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError)


def is_one_a_line(path: Path) -> bool:
    """Whether a file holds JSON lines, by its first line: it opens no array, and closes what it opens.

    What is no JSON at all is lines too: their reader leaves bad ones out.
    """
    try:
        with open_bytes(path) as (_, stream):
            line = next((line for line in iter(lambda: stream.readline(_CHUNK), b"") if line.strip()), b"")
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return True
    line = line.removeprefix(codecs.BOM_UTF8).strip()
    return not line.startswith(b"[") and (not line.startswith(b"{") or line.endswith(b"}") or len(line) > _CHUNK // 2)


class JsonValuesReader:
    """The n-th object is line n. Memory holds one object, not the file.

    Where one object ends is only known by reading it, so broken JSON ends the run: the file is named, and the line.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.name = str(path.resolve())
        self.size: int | None = size_of(path)
        self.rewindable = True
        self.ready = layout.ready
        self._path = path
        self._layout = layout

    @property
    def seed(self) -> bytes:
        """See `Reader`."""
        return chain(b"json", repr(self._layout).encode())

    def entries(self) -> Iterator[Entry]:
        """See `Reader`."""
        digest = self.seed
        with open_bytes(self._path) as (raw, stream):
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            try:
                for line, (value, written) in enumerate(_Values(text, self.name, self._layout.max_bytes), start=1):
                    digest = chain(digest, written.encode(errors="backslashreplace"))
                    yield Entry(line, value, digest, raw.tell())
            except _BROKEN as error:
                raise InputError(f"{self.name} is broken: {error}") from None
            finally:
                text.detach()

    def parse(self, entry: Entry) -> Record:
        """See `Reader`."""
        if not isinstance(entry.raw, dict):
            raise RejectedError("not a JSON object")
        return make_record(entry.raw, self._layout)

    def show(self, entry: Entry) -> str:
        """See `Reader`."""
        return json.dumps(entry.raw, ensure_ascii=False)


class _Values:
    """The values of an array, or those that stand one after the other, each with its own text."""

    def __init__(self, stream: io.TextIOWrapper, name: str, max_length: int) -> None:
        self._stream, self._name, self._max_length = stream, name, max_length
        self._decoder = json.JSONDecoder()
        self._buffer, self._position, self._lines_behind = "", 0, 0
        self._ended = False

    def __iter__(self) -> Iterator[tuple[Any, str]]:
        array = self._next_character() == "["
        self._position += array
        first = True
        while character := self._next_character():
            if array and character == "]":
                self._position += 1
                if rest := self._next_character():
                    raise self._error(f"{rest!r} behind the end of the array")
                return
            if array and not first:
                if character != ",":
                    raise self._error(f"a comma is missing before {character!r}")
                self._position += 1
                self._next_character()
            yield self._value()
            first = False
        if array:
            raise self._error("the array has no end; is the file whole?")

    def _next_character(self) -> str:
        """The next character that is no white space, not yet consumed; empty at the end."""
        while True:
            while self._position < len(self._buffer):
                if not self._buffer[self._position].isspace():
                    return self._buffer[self._position]
                self._position += 1
            if not self._more(_CHUNK):
                return ""

    def _value(self) -> tuple[Any, str]:
        # Reads twice as much at every try, so that a long value is not parsed again for each chunk of it.
        wanted = _CHUNK
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._position)
            except RecursionError:
                raise self._error("JSON is nested too deeply") from None
            except json.JSONDecodeError as error:
                if self._ended:
                    raise self._error(f"not JSON: {error.msg}", error.pos) from None
            else:
                # A number that ends where the buffer does may go on behind it.
                if end < len(self._buffer) or self._ended:
                    written, self._position = self._buffer[self._position : end], end
                    return value, written
            # Room for escapes, which are up to six times as long as what they stand for.
            if len(self._buffer) - self._position > 6 * self._max_length + _CHUNK:
                raise self._error(f"no object of at most {self._max_length:,} bytes starts here")
            self._more(wanted)
            wanted *= 2

    def _more(self, wanted: int) -> bool:
        self._lines_behind += self._buffer.count("\n", 0, self._position)
        read = self._stream.read(wanted)
        self._buffer, self._position = self._buffer[self._position :] + read, 0
        self._ended = not read
        return bool(read)

    def _error(self, what: str, position: int | None = None) -> InputError:
        line = 1 + self._lines_behind + self._buffer.count("\n", 0, self._position if position is None else position)
        return InputError(f"{self._name}:{line}: {what}")
