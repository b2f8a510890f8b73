"""What makes a query's weights or vector of its text, where it is not the index's own encoder."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from opensearch_multivector.errors import InputError

# Pyserini writes the first.
_TEXT_FIELDS = ("contents", "text", "query")


@runtime_checkable
class QueryEncoder(Protocol):
    """Any of Pyserini's query encoders, or an object like them."""

    def encode(self, text: str) -> Any:
        """Weights by term, or a vector."""


Given: TypeAlias = QueryEncoder | str | Path


def opened(given: Given) -> QueryEncoder:
    """The encoder itself, or that of a file of ready queries. Raises InputError where it is neither."""
    if isinstance(given, str | Path):
        return ReadyQueries(Path(given))
    if not isinstance(given, QueryEncoder):
        raise InputError(
            f"a query encoder is an object with encode(text), or a file of ready queries, not {type(given).__name__}"
        )
    return given


class TokenCounts:
    """How often each word is in the text: for topics that are weighted by repeating their terms."""

    def encode(self, text: str) -> dict[str, int]:
        """Words are what stands between blanks."""
        return dict(Counter(text.split()))


class ReadyQueries:
    """Queries encoded before: JSON lines with the text in `contents`, `text` or `query`, the rest in `vector`.

    Raises InputError, naming file and line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._vectors: dict[str, Any] = {}
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{path}: no file of ready queries ({getattr(error, 'strerror', None) or error})"
            ) from None
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                text = next(entry[field] for field in _TEXT_FIELDS if field in entry)
                self._vectors[text.strip()] = entry["vector"]
            except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
                raise InputError(
                    f'{path}:{number}: a ready query is an object with "contents" (or "text") and "vector"'
                ) from None

    def encode(self, text: str) -> Any:
        """What the file has for the text. Raises InputError where it is not in the file."""
        if text.strip() not in self._vectors:
            raise InputError(f"{self._path}: has no query {text.strip()!r}")
        return self._vectors[text.strip()]
