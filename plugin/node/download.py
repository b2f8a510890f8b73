"""Fetching the node's files: several at once, resumed where they broke off, checked by SHA-256."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from opensearch_multivector.errors import NodeError
from opensearch_multivector.plugin.node.distribution import Artifact

AT_ONCE = 4
ATTEMPTS = 6
FIRST_WAIT = 0.5  # seconds before the second attempt; doubles from there
CHUNK = 1 << 14  # bytes; what of it had come is lost when a connection breaks


class BrokenError(Exception):
    """A download that is worth another attempt: cut short, refused for now, or not what the checksum says."""


class StoppedError(Exception):
    """Another file failed, or the user pressed Ctrl-C."""


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def cached_path(artifact: Artifact, folder: Path) -> Path:
    """Where the download cache keeps a file."""
    return folder / f"{artifact.sha256[:12]}-{artifact.filename}"


def fetch_all(artifacts: tuple[Artifact, ...], folder: Path, base_url: str, console: Console) -> int:
    """Bring every artifact into `folder`; returns the bytes that came over the network.

    Files already there are checked, and fetched again where they are damaged. `NodeError` names the file that can't
    be had; what did arrive stays for the next attempt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unique = {artifact.sha256: artifact for artifact in artifacts}
    missing = [artifact for artifact in unique.values() if not intact(cached_path(artifact, folder), artifact)]
    if not missing:
        return 0
    stop = threading.Event()
    received = 0
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    with progress, requests.Session() as session, ThreadPoolExecutor(AT_ONCE) as pool:
        task = progress.add_task(f"{len(missing)} files", total=sum(artifact.size for artifact in missing))

        def advance(size: int, *, network: bool = True) -> None:
            nonlocal received
            progress.advance(task, size)
            if network and size > 0:
                received += size

        jobs = [
            pool.submit(fetch, artifact, cached_path(artifact, folder), base_url, session, advance, stop)
            for artifact in missing
        ]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            stop.set()
            raise
    return received


def intact(path: Path, artifact: Artifact) -> bool:
    """Whether `path` is the artifact, whole and unaltered."""
    return path.is_file() and path.stat().st_size == artifact.size and digest(path) == artifact.sha256


def fetch(
    artifact: Artifact,
    target: Path,
    base_url: str,
    session: requests.Session,
    advance: Callable[..., None],
    stop: threading.Event,
) -> None:
    """Download one file into `target`, resuming `target.part`."""
    url = f"{base_url}/{artifact.path}"
    retrying = Retrying(
        retry=retry_if_exception_type((requests.RequestException, BrokenError)),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=FIRST_WAIT, max=15) + wait_random(0, FIRST_WAIT),
        sleep=sleep_using_event(stop),
    )
    try:
        retrying(attempt, url, artifact, target, session, advance, stop)
    except RetryError as error:
        reason = error.last_attempt.exception()
        raise NodeError(
            f"could not download {url}: {reason}. What arrived is kept: start again to resume, "
            "or set OSMV_MAVEN_URL to a mirror"
        ) from error


def attempt(
    url: str,
    artifact: Artifact,
    target: Path,
    session: requests.Session,
    advance: Callable[..., None],
    stop: threading.Event,
) -> None:
    """One attempt at one file: ask for the bytes still missing, check all of them, put the file in place."""
    if stop.is_set():
        raise StoppedError
    part = target.with_name(target.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    if have > artifact.size:
        part.unlink()
        have = 0
    counted = have
    advance(have, network=False)
    try:
        if have < artifact.size:
            # "identity": the bytes that the checksum is of, not a compressed transfer of them.
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
            with session.get(url, headers=headers, stream=True, timeout=(10, 30)) as response:
                if response.status_code in (401, 403, 404):
                    raise NodeError(f"{url} answers {response.status_code}: set OSMV_MAVEN_URL to a repository with it")
                if response.status_code not in (200, 206):
                    raise BrokenError(f"HTTP {response.status_code}")
                if have and response.status_code == 200:  # no ranges there: from the beginning
                    advance(-have, network=False)
                    counted = 0
                with part.open("ab" if response.status_code == 206 else "wb") as handle:
                    for chunk in response.iter_content(CHUNK):
                        if stop.is_set():
                            raise StoppedError
                        handle.write(chunk)
                        counted += len(chunk)
                        advance(len(chunk))
        if part.stat().st_size < artifact.size:
            raise BrokenError(f"cut short at {part.stat().st_size} of {artifact.size} bytes")
        if not intact(part, artifact):
            part.unlink()
            raise BrokenError("SHA-256 is not the one on record")
    except (BrokenError, requests.RequestException):
        advance(-counted, network=False)
        raise
    part.chmod(0o644)
    part.replace(target)
