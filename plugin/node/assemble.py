"""Putting a distribution together from its files: aside first, then into place at once."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import zipfile
from pathlib import Path

from rich.console import Console

from opensearch_multivector.errors import NodeError
from opensearch_multivector.plugin.node import process, repository
from opensearch_multivector.plugin.node.distribution import Distribution, Module
from opensearch_multivector.plugin.node.download import cached_path, digest, fetch_all
from opensearch_multivector.plugin.node.places import Places, locked, make_folder
from opensearch_multivector.plugin.probe import NATIVE

MANIFEST = "manifest.json"
_DAY = 86_400
LAYOUT = 1  # raise it when `build` lays things out differently, so that older assemblies are not taken


def assembled(
    distribution: Distribution, places: Places, console: Console, plugin: Path | None = None
) -> tuple[Path, int]:
    """The folder of the assembled distribution, and the bytes downloaded for it (0 where it was there).

    ``plugin``: the zip of one more plugin, from this machine. Another zip leads to another assembly. Every file of an
    earlier assembly is checked against its manifest; a damaged one leads to a new assembly.
    """
    name = f"opensearch-{distribution.version}-{LAYOUT}-{distribution.key}"
    home = places.distributions / (name if plugin is None else f"{name}-{digest(plugin)[:10]}")
    with locked(places.cache / "lock"):
        # Of processes that were killed: whoever is at it holds the lock.
        for left_over in places.distributions.glob(".aside-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        if whole(home):
            return home, 0
        make_folder(places.downloads)
        make_folder(places.distributions)
        received = fetch_all(distribution.artifacts, places.downloads, repository.base_url(), console)
        aside = Path(tempfile.mkdtemp(prefix=".aside-", dir=places.distributions))
        new, old = aside / "new", aside / "old"
        try:
            build(distribution, places.downloads, new, plugin)
            if home.exists():
                home.rename(old)
            new.rename(home)
            forget_others(home, f"opensearch-{distribution.version}-")
        except OSError as error:
            raise NodeError(f"could not assemble OpenSearch in {places.distributions}: {error}") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return home, received


def forget_others(home: Path, prefix: str) -> None:
    """Remove assemblies of the same version that no node runs on and that were made more than a day ago.

    Every other build of the native plugin leads to one, and a node may just be starting on one of today's.
    """
    in_use = {argument for _, arguments in process.command_lines() for argument in arguments if prefix in argument}
    for other in home.parent.glob(f"{prefix}*"):
        old = time.time() - other.stat().st_mtime > _DAY
        if other != home and old and not any(str(other) in argument for argument in in_use):
            shutil.rmtree(other)


def whole(home: Path) -> bool:
    """Whether the assembly is complete and each of its files is what was put there."""
    try:
        manifest: dict[str, str] = json.loads((home / MANIFEST).read_text())
        return all(digest(home / name) == checksum for name, checksum in manifest.items())
    except (OSError, ValueError):
        return False


def build(distribution: Distribution, downloads: Path, home: Path, plugin: Path | None) -> None:
    """Lay out `lib`, `agent`, `modules` and `plugins` in the new folder `home`, and write the manifest."""
    for artifact in distribution.artifacts:
        source, folder = cached_path(artifact, downloads), home / artifact.place
        if source.suffix == ".zip":
            unpack(source, folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            link(source, folder / artifact.filename)
    if plugin is not None:
        unpack(plugin, home / "plugins" / NATIVE)
    for module in distribution.modules:
        folder = home / "modules" / module.name
        (folder / "plugin-descriptor.properties").write_text(descriptor(module, distribution))
        if module.permissions:
            (folder / "plugin-security.policy").write_text(policy(module))
    (home / "bin").mkdir()  # OpenSearch makes sure that it is there, and its user may not write here
    files = sorted(path for path in home.rglob("*") if path.is_file())
    manifest = {str(path.relative_to(home)): digest(path) for path in files}
    (home / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in [home, *home.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def unpack(source: Path, folder: Path) -> None:
    """Unpack a plugin."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(source) as archive:
        archive.extractall(folder)
    if not (folder / "plugin-descriptor.properties").is_file():
        raise NodeError(f"{source.name} is no OpenSearch plugin: it has no plugin-descriptor.properties")


def descriptor(module: Module, distribution: Distribution) -> str:
    """The `plugin-descriptor.properties` that OpenSearch wants of a module and the published jar lacks."""
    return (
        f"name={module.name}\n"
        f"description={module.name}\n"
        f"version={distribution.version}\n"
        f"opensearch.version={distribution.version}\n"
        f"java.version={distribution.java_min}\n"
        f"classname={module.classname}\n"
        f"extended.plugins={','.join(module.extended)}\n"
        "has.native.controller=false\n"
    )


def policy(module: Module) -> str:
    """The `plugin-security.policy` of a module: without it the Java agent denies what the module opens."""
    grants = "".join(f"  permission {permission};\n" for permission in module.permissions)
    return f"grant {{\n{grants}}};\n"
