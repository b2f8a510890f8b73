"""Bytes of a file or of standard input, unpacked where they are gzip: told by the first bytes, not by the name."""

from __future__ import annotations

import contextlib
import gzip
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from opensearch_multivector.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"


@contextlib.contextmanager
def open_bytes(path: Path | None) -> Iterator[tuple[io.BufferedReader, io.BufferedReader | gzip.GzipFile]]:
    """The raw stream and the one to read from; the same where nothing is compressed. ``path`` None: standard input."""
    with contextlib.ExitStack() as stack:
        if path is None:
            raw = cast("io.BufferedReader", sys.stdin.buffer)
        else:
            try:
                raw = stack.enter_context(path.open("rb"))
            except OSError as error:
                raise InputError(f"{path} can't be read: {error.strerror}") from None
        if raw.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC):
            yield raw, stack.enter_context(gzip.GzipFile(fileobj=raw))
        else:
            yield raw, raw


def size_of(path: Path) -> int:
    """The file's length in bytes, packed as it is."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from None
