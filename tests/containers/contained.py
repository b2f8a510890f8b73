"""Containers of the tests: started by testcontainers, on loopback only, named after the run that has to remove them."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import engine as engines
import pytest
from images import Images
from node_under_test import NATIVE
from three_nodes import QUICK_JVM

from opensearch_multivector.plugin.node.configure import free_port
from opensearch_multivector.plugin.node.distribution import DEFAULT_VERSION

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

PREFIX = "osmv-test-"
HOME = "/usr/share/opensearch"
PATIENCE = 240  # seconds to get ready in; 15 do on a machine that does nothing else


@dataclass
class Containers:
    """An engine whose API listens, and what was measured of its containers."""

    engine: engines.Engine
    images: Images
    figures: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def opensearch(
        self, what_for: str, *, megabytes: int = 0, settings: dict[str, str] | None = None, **options: Any
    ) -> Iterator[DockerContainer]:
        """A node that answers, read-only but for its data, in a volume, of any size or of so many megabytes."""
        environment = {
            "discovery.type": "single-node",
            "DISABLE_SECURITY_PLUGIN": "true",
            "DISABLE_INSTALL_DEMO_CONFIG": "true",
            "DISABLE_PERFORMANCE_ANALYZER_AGENT_CLI": "true",
            "OPENSEARCH_JAVA_OPTS": f"-Xms600m -Xmx600m {QUICK_JVM}",
            "path.repo": f"{HOME}/data/snapshots",
            # The machine's full disk must not turn the indices read-only.
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            **(settings or {}),
        }
        tmpfs = {"/tmp": "", f"{HOME}/logs": ""}
        with ExitStack() as stack:
            volume = stack.enter_context(self._volume(what_for, megabytes))
            mounts = {volume: (f"{HOME}/data", "rw")}
            image = self.images.opensearch()
            started = self._started(image, what_for, 9200, environment, tmpfs, mounts, "/", **options)
            yield stack.enter_context(started)

    @contextmanager
    def service(self, what_for: str, environment: dict[str, str], **options: Any) -> Iterator[DockerContainer]:
        """`osmv serve`, ready."""
        image = self.images.service()
        with self._started(image, what_for, 9680, environment, {"/tmp": ""}, {}, "/readyz", **options) as started:
            yield started

    @contextmanager
    def _started(
        self,
        image: str,
        what_for: str,
        port: int,
        environment: dict[str, str],
        tmpfs: dict[str, str],
        volumes: dict[str, tuple[str, str]],
        ready: str,
        **options: Any,
    ) -> Iterator[DockerContainer]:
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import HttpWaitStrategy

        name = name_of(what_for)
        waiting = HttpWaitStrategy(port, ready).for_status_code(200).with_startup_timeout(PATIENCE)
        container = DockerContainer(image, name=name, env=environment).waiting_for(waiting)
        container.with_kwargs(read_only=True, **options)
        container.tmpfs.update(tmpfs)
        for volume, (folder, mode) in volumes.items():
            container.with_volume_mapping(volume, folder, mode)
        # The same port after a restart, and nobody else's.
        container.ports[str(port)] = ("127.0.0.1", free_port())
        try:
            with container:
                yield container
        finally:  # also where we were interrupted before testcontainers knew of it
            self.engine.run("rm", "--force", "--volumes", name, check=False)

    @contextmanager
    def _volume(self, what_for: str, megabytes: int) -> Iterator[str]:
        name = name_of(what_for)
        # Of a certain size is memory, told in its pages: Podman takes `size` for a quota of the disk.
        limit = f"o=nr_blocks={megabytes * (1 << 20) // os.sysconf('SC_PAGE_SIZE')},mode=1777"
        memory = ("--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", limit) if megabytes else ()
        try:
            self.engine.run("volume", "create", *memory, name)
            yield name
        finally:
            self.engine.run("volume", "rm", "--force", name, check=False)

    @contextmanager
    def network(self, what_for: str) -> Iterator[str]:
        """A network in which containers know each other by name."""
        name = name_of(what_for)
        try:
            self.engine.run("network", "create", name)
            yield name
        finally:
            self.engine.run("network", "rm", name, check=False)

    def health(self, container: DockerContainer) -> str:
        """What the image's own health check comes to; Podman without systemd has to be told to run it."""
        name, deadline = container.get_container_id(), time.monotonic() + PATIENCE
        while True:
            if self.engine.command == "podman":
                self.engine.run("healthcheck", "run", name, check=False)
            status = self.engine.run("inspect", "--format", "{{.State.Health.Status}}", name)
            if status == "healthy" or time.monotonic() > deadline:
                return status
            time.sleep(1)

    def wait_until_ready(self, container: DockerContainer) -> None:
        """After a restart."""
        assert container._wait_strategy is not None
        container._wait_strategy.wait_until_ready(container)

    def left(self) -> dict[str, list[str]]:
        """Every container, volume and network of tests, whoever's."""
        found = {}
        for kind, (every, _, name) in _KINDS.items():
            listed = self.engine.run(kind, "ls", *every, "--format", "{{." + name + "}}")
            found[kind] = sorted(each for each in listed.split() if each.startswith(PREFIX))
        return found

    def remove_left_over(self) -> None:
        """What killed runs have left behind goes."""
        for kind, names in self.left().items():
            for name in names:
                if _has_ended(name.removeprefix(PREFIX).split("-")[0]):
                    self.engine.run(kind, "rm", *_KINDS[kind][1], name, check=False)
        for folder in Path(tempfile.gettempdir()).glob(f"{engines.API_FOLDER}*"):
            if _has_ended(folder.name.removeprefix(engines.API_FOLDER).split("-")[0]):
                shutil.rmtree(folder, ignore_errors=True)


# How all of a kind are listed, how one is removed, and which of its columns is the name.
_KINDS = {
    "container": (("--all",), ("--force", "--volumes"), "Names"),
    "volume": ((), ("--force",), "Name"),
    "network": ((), (), "Name"),
}


def _has_ended(pid: str) -> bool:
    """Whether it is the id of a process that is no more."""
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def name_of(what_for: str) -> str:
    """osmv-test-PID-what-for, as local nodes of the tests are called."""
    return f"{PREFIX}{os.getpid()}-{what_for}"


def said(container: DockerContainer, *command: str) -> tuple[int, str]:
    """The exit code of a command in a container, and what it printed."""
    done = container.exec(list(command))
    return done.exit_code or 0, done.output.decode().strip()


def url_of(container: DockerContainer, port: int = 9200) -> str:
    return f"http://{container.get_container_host_ip()}:{container.get_exposed_port(port)}"


@contextmanager
def containers_here() -> Iterator[Containers]:
    """Docker or Podman, ready for testcontainers; EngineError where there is neither, or no plugin for the image."""
    if not NATIVE:
        raise engines.EngineError(
            f"the images are of OpenSearch {DEFAULT_VERSION} with the native plugin (make plugin)"
        )
    engine = engines.find()
    if engine is None:
        raise engines.EngineError(engines.NONE)
    with engine.api() as address, pytest.MonkeyPatch.context() as environment:
        environment.setenv("DOCKER_HOST", address)
        # Its reaper is an image of a registry; names with our process in them do the same.
        environment.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
        if address.startswith("unix:"):  # ports are on this machine's loopback, though we be in a container ourselves
            environment.setenv("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
            environment.setenv("TESTCONTAINERS_HOST_OVERRIDE", "localhost")
        ours = Containers(engine, Images(engine))
        ours.remove_left_over()
        yield ours
