"""The console's files, held in memory: what is asked for is a key of this table, and no path of any disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class ConsoleFile:
    """A file as it is sent."""

    content: bytes
    media_type: str
    etag: str


def console_files() -> dict[str, ConsoleFile]:
    """By name; "" is the page."""
    files: dict[str, ConsoleFile] = {}
    for entry in resources.files("opensearch_multivector.ops.console").iterdir():
        media_type = _TYPES.get("." + entry.name.rpartition(".")[2])
        if media_type is not None and entry.is_file():
            content = entry.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:32]
            files[entry.name] = ConsoleFile(content, media_type, f'"{digest}"')
    if "index.html" in files:
        files[""] = files["index.html"]
    return files
