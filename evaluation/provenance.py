"""The header file beside a run, ``NAME.run.json``: all that is needed to repeat it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch, exceptions

from opensearch_multivector import __version__
from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.readers import files_of
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sidecar import Sidecar

FORMAT_VERSION = 1
_PLUGINS = {"filter_path": "nodes.*.name,nodes.*.plugins.name,nodes.*.plugins.version"}
_RUN_SUFFIXES = (".trec", ".run")
# Settings that OpenSearch makes up by itself, or that say nothing of what is found.
_INCIDENTAL = frozenset({"creation_date", "provided_name", "uuid", "version", "replication"})


def header_path(run: Path) -> Path:
    """``runs/dense.run.json`` for ``runs/dense.trec``, ``runs/dense.run`` or either with ``.gz``."""
    return run.with_name(f"{run_name(run)}.run.json")


def run_name(run: Path) -> str:
    """A run's file name without what it ends in by custom."""
    name = run.name.removesuffix(".gz")
    return next((name.removesuffix(suffix) for suffix in _RUN_SUFFIXES if name.endswith(suffix)), name)


def write_header(run: Path, content: Mapping[str, Any]) -> Path:
    """Write the header of a finished run: ``content``, and when and by which versions it was made, and its hash."""
    path = header_path(run)
    header = {
        "format_version": FORMAT_VERSION,
        "run": {"file": run.name, "sha256": sha256(run)},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "osmv": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "opensearch-py")},
        },
        **content,
    }
    try:
        path.write_text(json.dumps(header, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror}).") from None
    return path


def read_header(run: Path) -> dict[str, Any] | None:
    """The header of a run; None where it has none, or only that of another file of this name.

    Raises InputError, naming the file, where it is not one that `write_header` wrote.
    """
    if not run.name:
        raise InputError(f"{str(run)!r} is a folder, not a run.")
    path = header_path(run)
    if not path.is_file():
        return None
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON ({error.msg} at column {error.colno}).") from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: can't be read ({error}).") from None
    about = header.get("run") if isinstance(header, dict) and header.get("format_version") == FORMAT_VERSION else None
    if not isinstance(about, dict) or not {"file", "sha256"} <= about.keys():
        raise InputError(f"{path}: no header of a run in format version {FORMAT_VERSION}; move it out of the way.")
    return header if about["file"] == run.name else None


def describe_index(client: OpenSearch, index: str, spec: FieldSpec, sidecar: Sidecar | None = None) -> dict[str, Any]:
    """Cluster and index as a header names them. What the user may not ask is null. Raises ClusterError."""
    info = _allowed(client.info) or {}
    plugins = _allowed(lambda: client.transport.perform_request("GET", "/_nodes/plugins", params=_PLUGINS))
    nodes = plugins["nodes"].values() if plugins else ()
    versions = {(plugin["name"], plugin["version"]) for node in nodes for plugin in node.get("plugins", ())}
    return {
        "engine": {
            "opensearch": info.get("version", {}).get("number"),
            "nodes": len(nodes) if plugins else None,
            "plugins": [f"{name} {version}" for name, version in sorted(versions)] if plugins else None,
        },
        "index": _index(client, index) | {"field": spec.to_meta()},
    } | ({"sidecar": _index(client, sidecar.name)} if sidecar else {})


def _index(client: OpenSearch, index: str) -> dict[str, Any]:
    settings = _allowed(lambda: client.indices.get_settings(index=index)) or {}
    stats = _allowed(lambda: client.indices.stats(index=index, metric="store,docs"))
    totals = stats["_all"]["primaries"] if stats else None
    return {
        "name": index,
        "documents": totals["docs"]["count"] if totals else None,
        "store_bytes": totals["store"]["size_in_bytes"] if totals else None,
        "settings": {
            name: {key: value for key, value in body["settings"]["index"].items() if key not in _INCIDENTAL}
            for name, body in settings.items()
        },
    }


def _allowed(ask: Callable[[], Any]) -> Any:
    """The answer, or None where it is refused. Raises ClusterError where nobody answers."""
    with cluster_errors():
        try:
            return ask()
        except exceptions.ConnectionError:
            raise
        except exceptions.TransportError:
            return None


def hashes(files: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """Name and SHA-256 of each file, as they lie (gzipped ones are not unpacked)."""
    return {what: {"file": path.name, "sha256": sha256(path)} for what, path in files.items()}


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hex digits; of a folder of documents, that of its files' one after the other.

    Raises InputError where they can't be read.
    """
    if path.is_dir():
        return hashlib.sha256("".join(map(sha256, files_of(path))).encode()).hexdigest()
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}).") from None
