"""The native plugin that this package carries: a zip for `opensearch-plugin install`, in `native/` beside this file.

`make plugin` puts it there, and a wheel built afterwards has it; without it all but the native rerank works.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

FOLDER = Path(str(resources.files("opensearch_multivector.plugin"))) / "native"


@dataclass(frozen=True, slots=True)
class Carried:
    """The zip. ``version``: the plugin's own; ``opensearch``: the oldest patch release of the minor release it fits."""

    path: Path
    version: str
    opensearch: str

    def fits(self, opensearch: str) -> bool:
        """Whether OpenSearch of that version takes the plugin: of the same minor release, and no older."""
        mine, other = release_numbers(self.opensearch), release_numbers(opensearch)
        return mine[:2] == other[:2] and mine <= other

    @property
    def install(self) -> str:
        """The command that installs it on a node, run in OpenSearch's folder."""
        return f"bin/opensearch-plugin install {self.path.as_uri()}"


def carried() -> Carried | None:
    """The plugin's zip and what its descriptor says, or None where this package was built without it."""
    path = next(iter(sorted(FOLDER.glob("*.zip"))), None)
    if path is None:
        return None
    with zipfile.ZipFile(path) as archive:
        descriptor = archive.read("plugin-descriptor.properties").decode()
    version = re.search(r"^version=(\S+)$", descriptor, re.MULTILINE)
    # "~3.6.0" is OpenSearch's way to write 3.6.0 and later patch releases.
    opensearch = re.search(r'opensearch: *"~([\d.]+)"', descriptor)
    assert version is not None, descriptor
    assert opensearch is not None, descriptor
    return Carried(path.resolve(), version[1], opensearch[1])


def release_numbers(version: str) -> tuple[int, ...]:
    """A version's numbers, for comparing."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
