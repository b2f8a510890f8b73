"""What one version of OpenSearch consists of, read from its `opensearch-VERSION.json` beside this file.

The upper part of the file is written by hand (modules, plugins, flags); `artifacts` is written by `lock.py`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from opensearch_multivector.errors import InputError

DEFAULT_VERSION = "3.6.0"


@dataclass(frozen=True)
class Artifact:
    """One file of a Maven repository and the folder of the node that it belongs in."""

    coordinate: str  # group:artifact:extension:version[:classifier]
    sha256: str
    size: int  # bytes
    place: str  # lib, agent, modules/NAME, plugins/NAME

    @property
    def filename(self) -> str:
        """The file's name in the repository."""
        _, artifact, extension, version, *classifier = self.coordinate.split(":")
        return "-".join([artifact, version, *classifier]) + f".{extension}"

    @property
    def path(self) -> str:
        """The file's path below the repository's base URL."""
        group, artifact, _, version, *_ = self.coordinate.split(":")
        return f"{group.replace('.', '/')}/{artifact}/{version}/{self.filename}"


@dataclass(frozen=True)
class Module:
    """A built-in part that OpenSearch loads from `modules/NAME`, and the descriptor its jar lacks."""

    name: str
    coordinate: str
    classname: str
    extended: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Distribution:
    """One version of OpenSearch: its files, its modules and what its JVM wants."""

    version: str
    java_min: int
    java_max: int | None
    jvm_flags: tuple[str, ...]
    settings: dict[str, str]  # of opensearch.yml, besides those that every node has
    modules: tuple[Module, ...]
    artifacts: tuple[Artifact, ...]
    key: str  # changes whenever the description does

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(artifact.size for artifact in self.artifacts)


def description_path(version: str) -> Path:
    """Where the description of `version` lies; `InputError` where there is none."""
    folder = Path(str(resources.files("opensearch_multivector.plugin.node")))
    path = folder / f"opensearch-{version}.json"
    if not path.is_file():
        known = sorted(p.stem.removeprefix("opensearch-") for p in folder.glob("opensearch-*.json"))
        raise InputError(f"no local node of OpenSearch {version}: choose one of {', '.join(known)}")
    return path


def parse(text: str) -> Distribution:
    """Read a description."""
    raw: dict[str, Any] = json.loads(text)
    return Distribution(
        version=raw["version"],
        java_min=raw["java"]["min"],
        java_max=raw["java"]["max"],
        jvm_flags=tuple(raw["jvm_flags"]),
        settings=raw.get("settings", {}),
        modules=tuple(
            Module(
                name,
                module["coordinate"],
                module["classname"],
                tuple(module.get("extended", ())),
                tuple(module.get("permissions", ())),
            )
            for name, module in raw["modules"].items()
        ),
        artifacts=tuple(Artifact(**artifact) for artifact in raw["artifacts"]),
        key=hashlib.sha256(text.encode()).hexdigest()[:10],
    )


def load(version: str = DEFAULT_VERSION) -> Distribution:
    """The distribution of `version`; `InputError` where the project knows no such version."""
    return parse(description_path(version).read_text())
