"""Fetching and assembling a distribution, from a real HTTP server that cuts, corrupts, stalls and refuses."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from opensearch_multivector.errors import NodeError
from opensearch_multivector.plugin.node import download
from opensearch_multivector.plugin.node.assemble import assembled, whole
from opensearch_multivector.plugin.node.distribution import Distribution, parse
from opensearch_multivector.plugin.node.download import digest
from opensearch_multivector.plugin.node.places import Places

QUIET = Console(quiet=True)


class Repository:
    """A Maven repository on a loopback port, with faults to switch on."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.cut = 0  # how many answers yet break off in the middle
        self.corrupt = 0  # how many answers yet have a byte altered
        self.busy = 0  # how many answers yet are 503
        self.ranges = True
        self.bytes_per_second: float | None = None
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                repository.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        self.requests.append((handler.path, asked))
        body = self.files.get(handler.path.lstrip("/"))
        if body is None:
            handler.send_error(404)
            return
        if self.busy > 0:
            self.busy -= 1
            handler.send_error(503)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        body = body[start:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if self.corrupt > 0:
            self.corrupt -= 1
            body = bytes([body[0] ^ 1]) + body[1:]
        if self.cut > 0:
            self.cut -= 1
            body = body[: len(body) // 2]
        for position in range(0, len(body), 1 << 15):
            try:
                handler.wfile.write(body[position : position + (1 << 15)])
            except OSError:
                return
            if self.bytes_per_second:
                time.sleep((1 << 15) / self.bytes_per_second)
        handler.close_connection = True


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    served = Repository()
    monkeypatch.setenv("OSMV_MAVEN_URL", served.url)
    yield served
    served.server.shutdown()
    served.server.server_close()


def plugin_zip(noise: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("plugin-descriptor.properties", "name=extra\n")
        archive.writestr("extra.jar", noise)
    return buffer.getvalue()


def description(repository: Repository, size: int = 300_000) -> str:
    """A small distribution whose files `repository` serves."""
    noise = random.Random(7)
    contents = {
        "org.x:core:jar:1.0": ("lib", noise.randbytes(size)),
        "org.x:agent:jar:1.0": ("agent", noise.randbytes(size // 3)),
        "org.x:mod:jar:1.0": ("modules/mod", noise.randbytes(size // 2)),
        "org.x:extra:zip:1.0": ("plugins/extra", plugin_zip(noise.randbytes(size // 2))),
        "org.x:tail:jar:1.0:linux": ("lib", noise.randbytes(1000)),
    }
    artifacts = []
    for coordinate, (place, data) in contents.items():
        entry = {"coordinate": coordinate, "sha256": hashlib.sha256(data).hexdigest()}
        artifacts.append({**entry, "size": len(data), "place": place})
    text = json.dumps(
        {
            "version": "1.0",
            "java": {"min": 21, "max": None},
            "jvm_flags": [],
            "modules": {"mod": {"coordinate": "org.x:mod:1.0", "classname": "x.Mod", "permissions": ['a.B "c"']}},
            "artifacts": artifacts,
        }
    )
    for artifact, (_, data) in zip(parse(text).artifacts, contents.values(), strict=True):
        repository.files[artifact.path] = data
    return text


@pytest.fixture
def distribution(repository: Repository) -> Distribution:
    return parse(description(repository))


def sound(home: Path, distribution: Distribution) -> bool:
    """Whether the assembly is whole and its jars are those that the description pins."""
    jars = [artifact for artifact in distribution.artifacts if artifact.coordinate.split(":")[2] == "jar"]
    return whole(home) and all(digest(home / jar.place / jar.filename) == jar.sha256 for jar in jars)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "cache", tmp_path / "data")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_WAIT", 0.01)


def test_everything_lies_in_its_place(repository: Repository, distribution: Distribution, places: Places) -> None:
    home, received = assembled(distribution, places, QUIET)
    assert received == distribution.size
    names = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert names == {
        "lib/core-1.0.jar",
        "lib/tail-1.0-linux.jar",
        "agent/agent-1.0.jar",
        "modules/mod/mod-1.0.jar",
        "modules/mod/plugin-descriptor.properties",
        "modules/mod/plugin-security.policy",
        "plugins/extra/plugin-descriptor.properties",
        "plugins/extra/extra.jar",
        "manifest.json",
    }
    assert "classname=x.Mod" in (home / "modules/mod/plugin-descriptor.properties").read_text()
    assert 'permission a.B "c";' in (home / "modules/mod/plugin-security.policy").read_text()


def test_a_second_assembly_asks_for_nothing(repository: Repository, distribution: Distribution, places: Places) -> None:
    first, _ = assembled(distribution, places, QUIET)
    repository.requests.clear()
    second, received = assembled(distribution, places, QUIET)
    assert (second, received, repository.requests) == (first, 0, [])


def test_the_native_plugin_is_laid_out_and_a_changed_one_leads_to_another_assembly(
    repository: Repository, distribution: Distribution, places: Places, tmp_path: Path
) -> None:
    plugin = tmp_path / "native.zip"
    homes = []
    for noise in (b"one", b"two"):
        plugin.write_bytes(plugin_zip(noise))
        home, _ = assembled(distribution, places, QUIET, plugin)
        assert (home / "plugins/opensearch-multivector/extra.jar").read_bytes() == noise
        assert sound(home, distribution)
        homes.append(home)
    (homes[1] / "plugins/opensearch-multivector/extra.jar").write_bytes(b"tampered with")
    again, _ = assembled(distribution, places, QUIET, plugin)
    assert (again / "plugins/opensearch-multivector/extra.jar").read_bytes() == b"two"
    without, _ = assembled(distribution, places, QUIET)
    assert not (without / "plugins/opensearch-multivector").exists()
    assert len({*homes, again, without}) == 3


def test_old_assemblies_that_no_node_runs_on_are_removed(
    repository: Repository, distribution: Distribution, places: Places, tmp_path: Path
) -> None:
    plugin = tmp_path / "native.zip"

    def made(noise: bytes) -> Path:
        plugin.write_bytes(plugin_zip(noise))
        return assembled(distribution, places, QUIET, plugin)[0]

    old, running, recent = made(b"old"), made(b"running"), made(b"recent")
    two_days_ago = time.time() - 2 * 86_400
    for home in (old, running):
        os.utime(home, (two_days_ago, two_days_ago))
    command = [sys.executable, "-c", "import time; time.sleep(60)", f"-Dopensearch.path.home={running}"]
    with subprocess.Popen(command) as node:
        new = made(b"new")
        node.kill()
    assert [home.exists() for home in (old, running, recent, new)] == [False, True, True, True]


def test_a_cut_download_is_resumed_where_it_broke(
    repository: Repository, distribution: Distribution, places: Places
) -> None:
    repository.cut = 3
    home, received = assembled(distribution, places, QUIET)
    assert whole(home)
    assert sum(1 for _, asked in repository.requests if asked) >= 3
    assert received == distribution.size  # no byte came twice


def test_a_server_without_ranges_is_asked_from_the_beginning(
    repository: Repository, distribution: Distribution, places: Places
) -> None:
    repository.cut, repository.ranges = 2, False
    home, received = assembled(distribution, places, QUIET)
    assert sound(home, distribution)
    assert received > distribution.size


def test_altered_bytes_are_not_accepted(repository: Repository, distribution: Distribution, places: Places) -> None:
    repository.corrupt = 4  # the first four files asked for, jars among them
    home, _ = assembled(distribution, places, QUIET)
    assert sound(home, distribution)


def test_a_busy_server_is_asked_again(repository: Repository, distribution: Distribution, places: Places) -> None:
    repository.busy = 4
    home, _ = assembled(distribution, places, QUIET)
    assert sound(home, distribution)


def test_a_server_that_stays_busy_is_named(repository: Repository, distribution: Distribution, places: Places) -> None:
    repository.busy = 10_000
    with pytest.raises(NodeError, match=r"could not download http.*HTTP 503.*resume"):
        assembled(distribution, places, QUIET)


def test_a_missing_file_is_named_at_once(repository: Repository, distribution: Distribution, places: Places) -> None:
    del repository.files[distribution.artifacts[1].path]
    with pytest.raises(NodeError, match=r"agent-1\.0\.jar answers 404"):
        assembled(distribution, places, QUIET)
    assert sum(1 for path, _ in repository.requests if "agent" in path) == 1


@pytest.mark.parametrize("damage", ["altered", "cut", "removed"])
def test_a_damaged_file_is_found_and_fetched_again(
    repository: Repository, distribution: Distribution, places: Places, damage: str
) -> None:
    home, _ = assembled(distribution, places, QUIET)
    jar = home / "lib/core-1.0.jar"
    data = bytearray(jar.read_bytes())
    if damage == "altered":  # a hard link of the download: both are damaged
        data[1000] ^= 1
        jar.write_bytes(bytes(data))
    elif damage == "cut":
        jar.write_bytes(bytes(data[:-1]))
    else:
        jar.unlink()
    repository.requests.clear()
    home, received = assembled(distribution, places, QUIET)
    assert sound(home, distribution)
    assert received == (0 if damage == "removed" else len(data))
    assert len(repository.requests) == (0 if damage == "removed" else 1)


ASSEMBLE = """
import sys
from pathlib import Path
from rich.console import Console
from opensearch_multivector.plugin.node.assemble import assembled
from opensearch_multivector.plugin.node.distribution import parse
from opensearch_multivector.plugin.node.places import Places
root = Path(sys.argv[1])
print("ready", flush=True)
distribution = parse((root / "d.json").read_text())
home, received = assembled(distribution, Places(root / "cache", root / "data"), Console(quiet=True))
print(received, flush=True)
"""


def test_kill_9_at_random_moments_never_leaves_a_broken_distribution(
    repository: Repository, places: Places, tmp_path: Path
) -> None:
    text = description(repository, size=1_500_000)
    (tmp_path / "d.json").write_text(text)
    repository.bytes_per_second = 2e6  # about 0.8 s in all, four at once
    moments = random.Random(11)
    command = [sys.executable, "-c", ASSEMBLE, str(tmp_path)]
    finished = False
    for number in range(8):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            # Ever later, so that on a busy machine, too, some have fetched something.
            time.sleep(moments.uniform(0.02, 0.3) * (1 + number / 2))
            finished = process.poll() is not None
            if not finished:
                os.kill(process.pid, signal.SIGKILL)
        for home in places.distributions.glob("opensearch-*"):
            assert sound(home, parse(text))
        if finished:
            break
    asked_before = {path for path, _ in repository.requests}
    assert asked_before  # the kills did hit the download
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    received = int(done.stdout.split()[-1])
    distribution = parse(text)
    assert received < distribution.size  # what the killed runs had fetched was used
    home, again = assembled(distribution, places, QUIET)
    assert (sound(home, distribution), again) == (True, 0)
    assert not list(places.distributions.glob(".aside-*"))
