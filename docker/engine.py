"""Which container engine this machine has: Docker where one answers, else Podman with settings of the project's own."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opensearch_multivector.plugin.node.places import make_folder, places

# Debian's packages, and by what it is seen that they are there.
PACKAGES = {
    "podman": "podman",
    "runc": "runc",
    "iptables": "iptables",
    "netavark": "/usr/lib/podman/netavark",
    "aardvark-dns": "/usr/lib/podman/aardvark-dns",
    "debootstrap": "debootstrap",
    "docker-compose": "docker-compose",
}
NONE = f"neither Docker nor Podman answers here (Debian, as root: make engine, or apt-get install {' '.join(PACKAGES)})"
API_FOLDER = "osmv-podman-"  # and the process whose it is
DOCKER_SOCKET = Path("/var/run/docker.sock")


class EngineError(Exception):
    """An engine refused."""


@dataclass(frozen=True)
class Engine:
    """An engine: its command, and the environment that it is run in."""

    command: str  # docker or podman
    environment: dict[str, str]

    def run(self, *arguments: str, check: bool = True, timeout: float = 900) -> str:
        """What the command prints; EngineError with what it complained of, where it fails and `check`."""
        done = subprocess.run(
            [self.command, *arguments], env=self.environment, capture_output=True, text=True, timeout=timeout
        )
        if check and done.returncode:
            raise EngineError(f"{self.command} {' '.join(arguments)}: {done.stderr[-3000:]}")
        return done.stdout.strip()

    @contextmanager
    def api(self) -> Iterator[str]:
        """Where its API listens, as DOCKER_HOST has it; Podman's is of this process alone, and ends with it."""
        given = os.environ.get("DOCKER_HOST")
        if self.command == "docker" or given:
            yield given or f"unix://{DOCKER_SOCKET}"
            return
        with tempfile.TemporaryDirectory(prefix=f"{API_FOLDER}{os.getpid()}-") as folder:
            socket = Path(folder) / "api.sock"
            # In a session of its own, since Ctrl-C must reach us first; and it is gone however we end.
            with subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "podman", "system", "service", "--time=0", f"unix://{socket}"],
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            ) as service:
                try:
                    while not socket.exists() and service.poll() is None:
                        time.sleep(0.05)
                    yield f"unix://{socket}"
                finally:
                    service.send_signal(signal.SIGTERM)


def find() -> Engine | None:
    """The engine to use, or None where neither is."""
    # The Dockerfiles mount what a build alone needs, which Docker before 23 has to be told to do.
    environment = os.environ | {"DOCKER_BUILDKIT": "1"}
    if shutil.which("docker") and _answers("docker", environment):
        return Engine("docker", environment)
    if shutil.which("podman"):
        environment["CONTAINERS_CONF"] = str(_podman_settings())
        if not Path("/run/systemd/system").exists():
            environment["DISABLE_HC_SYSTEMD"] = "true"  # whose timers run Podman's health checks elsewhere
        if _answers("podman", environment):
            return Engine("podman", environment)
    return None


def missing() -> list[str]:
    """Packages of Debian that Podman, and images made without a registry, want and that are not there."""
    return [package for package, program in PACKAGES.items() if not shutil.which(program)]


def install() -> Engine:
    """The engine, after what is missing was installed where that can be; EngineError says what is missing."""
    if os.geteuid() == 0 and shutil.which("apt-get") and (wanted := missing()):
        print(f"Installing {' '.join(wanted)}", file=sys.stderr, flush=True)
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *wanted]):
            quietly = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "capture_output": True, "text": True}
            done = subprocess.run(["apt-get", "--quiet", *command], **quietly)
            if done.returncode:
                raise EngineError(f"apt-get {' '.join(command)}: {done.stderr.strip()}")
    found = find()
    if found is None:
        raise EngineError(NONE)
    return found


def _answers(command: str, environment: dict[str, str]) -> bool:
    asked = subprocess.run([command, "info"], env=environment, capture_output=True, timeout=60)
    return asked.returncode == 0


def _podman_settings() -> Path:
    """Limits that this process may hand on: Podman's own are above those of many a machine, and then nothing starts."""
    nofile = _limit(resource.RLIMIT_NOFILE, 65_536)
    nproc = _limit(resource.RLIMIT_NPROC, 4096)
    runtime = '[engine]\nruntime = "runc"\n' if shutil.which("runc") else ""
    settings = f'[containers]\ndefault_ulimits = ["nofile={nofile}:{nofile}", "nproc={nproc}:{nproc}"]\n{runtime}'
    path = make_folder(places().cache) / "containers.conf"
    if not path.exists() or path.read_text() != settings:
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_text(settings)
        aside.replace(path)
    return path


def _limit(kind: int, most: int) -> int:
    hard = resource.getrlimit(kind)[1]
    return most if hard == resource.RLIM_INFINITY else min(hard, most)


if __name__ == "__main__":
    try:
        print(f"Containers: {install().command}", file=sys.stderr)
    except EngineError as error:
        raise SystemExit(str(error)) from error
