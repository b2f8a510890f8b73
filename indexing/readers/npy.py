"""`X.npy`: the token vectors of all documents one after the other, (total tokens, dim).

Beside it lie `X.doclens.npy`, (n_documents,) integers, the number of tokens of each document, and, where there is no
file of documents to go with, `X.ids.txt`, one id a line.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.readers.base import chain
from opensearch_multivector.indexing.records import RejectedError, token_vectors


class NpyVectors:
    """See `VectorStore`. The file is mapped into memory, not read. ``beside``: how the files beside it end."""

    beside = (".doclens.npy", ".ids.txt")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._array = _load(path, mapped=True)
        doclens_path = path.with_suffix(".doclens.npy")
        doclens = _load(doclens_path)
        if doclens.ndim != 1 or doclens.dtype.kind not in "iu" or (doclens.astype(np.int64) < 0).any():
            raise InputError(f"{doclens_path} must hold one integer >= 0 a document")
        if self._array.ndim != 2:
            raise InputError(f"{path} must hold an array (total tokens, dim), not of shape {self._array.shape}")
        self._ends = np.cumsum(doclens, dtype=np.int64)
        self.count = len(doclens)
        total = int(self._ends[-1]) if self.count else 0
        if total != len(self._array):
            raise InputError(f"{doclens_path} sums to {total:,} tokens, {path} has {len(self._array):,}")
        self._ids = _ids(path.with_suffix(".ids.txt"), self.count)

    def signature(self) -> bytes:
        """See `VectorStore`; size and time of change, since the file may be large."""
        stat = self._path.stat()
        return chain(b"npy", f"{stat.st_size} {stat.st_mtime_ns}".encode(), self._ends.tobytes())

    def ids(self) -> list[str] | None:
        """See `VectorStore`."""
        return self._ids

    def content(self, position: int) -> bytes:
        """See `VectorStore`."""
        return np.ascontiguousarray(self._rows(position)).tobytes()

    def vectors(self, position: int, doc_id: str) -> FloatArray:
        """See `VectorStore`; goes by position."""
        if position >= self.count:
            raise RejectedError(f"{self._path.name} has vectors of {self.count:,} documents only", doc_id)
        if self._ids is not None and self._ids[position] != doc_id:
            raise RejectedError(
                f"the vectors at this position in {self._path.name} belong to {self._ids[position]!r}", doc_id
            )
        return token_vectors(self._rows(position), doc_id)

    def _rows(self, position: int) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        start = int(self._ends[position - 1]) if position else 0
        return self._array[start : int(self._ends[position])]


def _load(path: Path, *, mapped: bool = False) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    try:
        array: np.ndarray[tuple[int, ...], np.dtype[np.generic]] = np.load(
            path, mmap_mode="r" if mapped else None, allow_pickle=False
        )
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from None
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} is no array that can be read: {error}") from None
    return array


def _ids(path: Path, count: int) -> list[str] | None:
    if not path.exists():
        return None
    try:
        ids = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read: {error}") from None
    if len(ids) != count:
        raise InputError(f"{path} has {len(ids):,} ids for {count:,} documents")
    return ids
