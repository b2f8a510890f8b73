"""Queries to learn from, for reductions that fit themselves to queries as well as to documents."""

from __future__ import annotations

import json
from pathlib import Path

from opensearch_multivector.errors import InputError


def read_queries(path: Path) -> list[str]:
    """One query a line: as plain text, or as a JSON object with its ``text`` (BEIR's `queries.jsonl`).

    Raises InputError, naming the line, where there is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"training queries {path} can't be read: {error}") from None
    queries = [_query(path, number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not queries:
        raise InputError(f"training queries {path}: there is no query in it")
    return queries


def _query(path: Path, number: int, line: str) -> str:
    if not line.startswith("{"):
        return line
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError):
        text = None
    if not isinstance(text, str) or not text.strip():
        raise InputError(f'training queries {path}, line {number}: no JSON object with a "text" that is a string')
    return text
