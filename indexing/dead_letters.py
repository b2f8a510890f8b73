"""The file of documents that could not be indexed: one JSON object a line, `line`, `doc_id`, `reason`, `source`."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from opensearch_multivector.errors import InputError

_OPENING = b'{"line": '


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a line was not indexed."""

    line: int
    doc_id: str | None
    reason: str

    def __str__(self) -> str:
        document = f" (document {self.doc_id!r})" if self.doc_id is not None else ""
        return f"line {self.line}{document}: {self.reason}"


class DeadLetters:
    """Appends rejections. The file appears with the first of them.

    ``keep_to_line``: entries beyond it are dropped, since the resumed run will meet those lines again; 0 starts afresh.
    Raises InputError where the path holds something other than dead letters, rather than overwrite it.
    """

    def __init__(self, path: Path, keep_to_line: int = 0) -> None:
        self.path = path
        self._file: IO[str] | None = None
        # Told now, not hours later when the first document is rejected.
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise InputError(
                f"dead letters can't be written to {path}: no such folder, or no permission to write there"
            )
        try:
            if path.exists():
                self._keep(keep_to_line)
        except OSError as error:
            raise InputError(f"dead letters can't be written to {path}: {error.strerror}") from None

    def write(self, rejection: Rejection, source: str) -> None:
        """Append one. Durable only after `sync`."""
        if self._file is None:
            try:
                self._file = self.path.open("a", encoding="utf-8")
            except OSError as error:
                raise InputError(f"dead letters can't be written to {self.path}: {error.strerror}") from None
        entry = {"line": rejection.line, "doc_id": rejection.doc_id, "reason": rejection.reason, "source": source}
        # ASCII, because an id or a source may hold half a surrogate pair.
        self._file.write(json.dumps(entry) + "\n")

    def sync(self) -> None:
        """Bring everything written onto the disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close."""
        if self._file is not None:
            self.sync()
            self._file.close()
            self._file = None

    def _keep(self, last_line: int) -> None:
        aside = self.path.with_name(self.path.name + ".part")
        kept = 0
        with self.path.open("rb") as old, aside.open("wb") as new:
            for text in old:
                if not text.startswith(_OPENING[: len(text)]):
                    aside.unlink()
                    raise InputError(
                        f"{self.path} holds something other than dead letters: move it, or pass --dead-letters"
                    )
                line = _line_of(text)
                if line is not None and line <= last_line:
                    new.write(text)
                    kept += 1
        if kept:
            aside.replace(self.path)
        else:
            aside.unlink()
            self.path.unlink()


def _line_of(text: bytes) -> int | None:
    """The line number of an entry; None where it is torn, as the last one is when a run gets killed."""
    try:
        line: int = json.loads(text)["line"]
    except ValueError:
        return None
    return line
