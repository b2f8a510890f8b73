"""Run files with their headers, and what to call them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.provenance import read_header, run_name, sha256
from opensearch_multivector.evaluation.runs import Ranking, read_run


@dataclass(frozen=True, slots=True)
class RunFile:
    """A run as it lies. ``name``: its header's, or its file's; ``digest``: SHA-256; ``header``: None without one."""

    name: str
    path: Path
    digest: str
    rankings: dict[str, Ranking]
    header: dict[str, Any] | None

    @property
    def altered(self) -> bool:
        """Whether the header tells of other content."""
        return self.header is not None and self.header["run"]["sha256"] != self.digest


def read_run_files(paths: Sequence[Path], run_format: str | None = None) -> list[RunFile]:
    """Read runs, each under a name of its own: its header's, its file's, or its path where others have these.

    Raises InputError with file and line.
    """
    if twice := [path for path, times in Counter(path.resolve() for path in paths).items() if times > 1]:
        raise InputError(f"{twice[0]} is given twice.")
    headers = [read_header(path) for path in paths]
    names = [str(header["name"]) if header else run_name(path) for path, header in zip(paths, headers, strict=True)]
    taken = Counter(names)
    files = []
    for path, header, name in zip(paths, headers, names, strict=True):
        rankings = read_run(path, run_format)
        if not rankings:
            raise InputError(f"{path}: holds no ranking.")
        files.append(RunFile(name if taken[name] == 1 else str(path), path, sha256(path), rankings, header))
    return files
