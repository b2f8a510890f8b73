"""A folder of JSON files, in itself or in folders in it, as one input: Pyserini's `JsonCollection` and its kin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from opensearch_multivector.indexing.readers.base import Entry, Reader, chain
from opensearch_multivector.indexing.records import Record, RejectedError


@dataclass(frozen=True, slots=True)
class _Inside:
    """An entry as the file's own reader gave it."""

    reader: Reader
    file: str
    entry: Entry


class FolderReader:
    """The files in the order of their paths. Lines are counted through: the n-th record of all is line n."""

    def __init__(self, folder: Path, files: list[Path], open_file: Callable[[Path], Reader]) -> None:
        self._files = [(str(path.relative_to(folder)), open_file(path)) for path in files]
        self.name = str(folder.resolve())
        self.size: int | None = sum(reader.size or 0 for _, reader in self._files)
        self.rewindable = True
        self.ready = any(reader.ready for _, reader in self._files)

    @property
    def seed(self) -> bytes:
        """See `Reader`."""
        return chain(b"folder", self._files[0][1].seed)

    def entries(self) -> Iterator[Entry]:
        """See `Reader`."""
        before = digest = self.seed
        line = consumed = 0
        for file, reader in self._files:
            for entry in reader.entries():
                line += 1
                digest = chain(before, entry.digest)
                yield Entry(line, _Inside(reader, file, entry), digest, consumed + entry.consumed)
            before = digest
            consumed += reader.size or 0

    def parse(self, entry: Entry) -> Record:
        """See `Reader`; a reason for a rejection names the file and the line in it."""
        inside: _Inside = entry.raw
        try:
            return inside.reader.parse(inside.entry)
        except RejectedError as rejected:
            reason = f"{inside.file}:{inside.entry.line}: {rejected.reason}"
            raise RejectedError(reason, rejected.doc_id) from None

    def show(self, entry: Entry) -> str:
        """See `Reader`."""
        inside: _Inside = entry.raw
        return inside.reader.show(inside.entry)
