"""Where the node's files lie, whose they are, and locks on them."""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opensearch_multivector.errors import InputError, NodeError

APP = "opensearch-multivector"


@dataclass(frozen=True)
class Account:
    """A user of this machine that the JVM runs under."""

    name: str
    uid: int
    gid: int


def node_account() -> Account | None:
    """The user to run OpenSearch under where we are root, which it refuses (`OSMV_NODE_USER`, or nobody); else None."""
    if os.geteuid() != 0:
        return None
    name = os.environ.get("OSMV_NODE_USER", "nobody")
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise InputError(f"OSMV_NODE_USER names {name!r}, which is no user of this machine") from error
    if entry.pw_uid == 0:
        raise InputError("OpenSearch refuses to run as root: set OSMV_NODE_USER to another user")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def reachable(path: Path, account: Account | None) -> bool:
    """Whether `account` may pass through every existing folder down to `path`, and read it."""
    if account is None:
        return True
    for part in [path, *path.parents]:
        if not part.exists():
            continue
        status = part.stat()
        shift = 6 if status.st_uid == account.uid else 3 if status.st_gid == account.gid else 0
        bits = status.st_mode >> shift
        if not bits & 0o1 and (stat.S_ISDIR(status.st_mode) or part == path):
            return False
    return True


@dataclass(frozen=True)
class Places:
    """The folders of one user's nodes."""

    cache: Path  # what can be fetched again
    data: Path  # what can't

    @property
    def downloads(self) -> Path:
        """Files as the repository has them."""
        return self.cache / "downloads"

    @property
    def distributions(self) -> Path:
        """Assembled distributions, shared by all nodes."""
        return self.cache / "distributions"

    @property
    def nodes(self) -> Path:
        """One folder for each node."""
        return self.data / "nodes"

    def node(self, name: str) -> Path:
        """The folder of one node; `InputError` for a name that is no plain word."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise InputError(f"node name {name!r}: use letters, digits, '.', '_' and '-', at most 64, a letter first")
        return self.nodes / name


def places() -> Places:
    """The user's cache and data folders (XDG), or ones in /var/tmp where the node's user couldn't reach those."""
    account = node_account()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / APP
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / APP
    if reachable(cache, account) and reachable(data, account):
        return Places(cache, data)
    public = Path(f"/var/tmp/{APP}-{os.geteuid()}")
    make_folder(public)
    if public.is_symlink() or public.stat().st_uid != os.geteuid():
        raise NodeError(f"{public} belongs to somebody else: remove it, or set XDG_CACHE_HOME and XDG_DATA_HOME")
    return Places(public / "cache", public / "data")


def make_folder(path: Path, account: Account | None = None) -> Path:
    """Make `path` and its missing parents passable for the node's user whatever the umask; owned by `account`."""
    for part in [*reversed(path.parents), path]:
        if not part.exists():
            part.mkdir(exist_ok=True)
            part.chmod(0o755)
    if account is not None:
        os.chown(path, account.uid, account.gid)
    return path


def give(path: Path, account: Account | None) -> None:
    """Hand `path` and all below it to `account`, if another user holds any of it."""
    if account is None:
        return
    for part in [path, *path.rglob("*")]:
        if part.lstat().st_uid != account.uid:
            os.chown(part, account.uid, account.gid, follow_symlinks=False)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; waits for whoever has it. The kernel lets go of it if we die."""
    make_folder(path.parent)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
