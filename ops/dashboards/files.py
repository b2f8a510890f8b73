"""The dashboards and rules as files of this package, and their copies in a folder of the user's."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from opensearch_multivector.errors import InputError

# By the program that reads them.
FOLDERS = {"grafana": ".json", "prometheus": ".yml", "opensearch": ".ndjson"}


def dashboard_files() -> dict[str, bytes]:
    """Content by path, such as ``grafana/searches.json``."""
    package = files("opensearch_multivector.ops.dashboards")
    return {
        f"{folder}/{file.name}": file.read_bytes()
        for folder, ending in FOLDERS.items()
        for file in sorted(package.joinpath(folder).iterdir(), key=lambda file: file.name)
        if file.name.endswith(ending)
    }


def export_dashboards(folder: Path, *, force: bool = False) -> list[Path]:
    """Copy all files into ``folder``, which is made where it is absent; the paths.

    Raises InputError, before anything is written, where a file is there and differs, without ``force``.
    """
    contents = {folder / path: content for path, content in dashboard_files().items()}
    if not force:
        changed = [str(path) for path, content in contents.items() if path.exists() and _differs(path, content)]
        if changed:
            raise InputError(f"{', '.join(changed)}: there already, and different: --force overwrites what was changed")
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return list(contents)


def _differs(path: Path, content: bytes) -> bool:
    return not path.is_file() or path.read_bytes() != content
