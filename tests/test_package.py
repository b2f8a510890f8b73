"""The wheel: all rooms and their data, nothing else, and an `osmv` that works from an empty environment."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAME = "opensearch_multivector"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # From a copy: a build in place would write into build/, where the editable installation's links live.
    copy = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    # Git looks away from the native plugin; the wheel of a checkout that has not built it is whole without it.
    for plugin in (ROOT / "plugin/native").glob("*.zip"):
        (copy / "plugin/native").mkdir()
        shutil.copy(plugin, copy / "plugin/native")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


# Of Python, of the node and its plugin, of data, of the console and the dashboards.
SUFFIXES = {
    ".py",
    ".typed",
    ".policy",
    ".zip",
    ".json",
    ".txt",
    ".yaml",
    ".html",
    ".css",
    ".js",
    ".svg",
    ".yml",
    ".ndjson",
}


def sources() -> set[str]:
    """The files that belong into the wheel, by their path there."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = set()
    for package, folder in setuptools["package-dir"].items():
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and "java" not in file.parts and file.suffix in SUFFIXES:
                found.add(f"{package.replace('.', '/')}/{file.relative_to(ROOT / folder).as_posix()}")
    return found


def test_the_wheel_holds_every_room_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == sources()
    assert {name.split("/")[0] for name in inside} == {NAME}


def test_every_room_is_among_the_packages() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    rooms = {
        f"{package}{'.' if package else ''}{'.'.join(init.parent.relative_to(ROOT / folder).parts)}".rstrip(".")
        for package, folder in setuptools["package-dir"].items()
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert rooms == set(setuptools["packages"])


@pytest.mark.slow
def test_osmv_works_from_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, cwd=tmp_path)
    for command in ([], ["index"], ["search"], ["eval"], ["doctor"], ["plugin"], ["demo"], ["node", "start"]):
        done = subprocess.run(
            [environment / "bin" / "osmv", *command, "--help"], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert "Usage: osmv" in done.stdout
    check = f"import {NAME} as m, sys; m.connect, m.Searcher, m.load_encoder, m.index_documents; print(m.__file__)"
    imported = subprocess.run([python, "-c", check], capture_output=True, text=True, cwd=tmp_path)
    assert imported.returncode == 0, imported.stderr
    assert str(environment) in imported.stdout


def test_looking_at_the_package_or_the_command_imports_no_heavy_room() -> None:
    code = (
        f"import sys, {NAME}, {NAME}.cli.main; "
        "heavy = {'torch', 'transformers', 'onnxruntime', 'numpy', 'ir_measures', 'pyarrow'} & set(sys.modules); "
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("requirements-dev.txt", ["dev"]),
        ("requirements-light.txt", ["node", "onnx", "eval"]),
        ("requirements-serve.txt", ["serve", "otel", "onnx"]),
    ],
)
def test_the_lock_holds_every_dependency(lock: str, extras: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {
        line.split("==")[0] for line in (ROOT / lock).read_text().splitlines() if re.match(r"[a-z0-9]\S*==", line)
    }
    wanted = [*project["dependencies"], *(each for extra in extras for each in project["optional-dependencies"][extra])]
    names = {re.match(r"[A-Za-z0-9-]+", requirement)[0].lower() for requirement in wanted} - {project["name"]}
    assert names <= locked, "run `make lock`"


@pytest.mark.parametrize("lock", ["requirements-dev.txt", "requirements-light.txt", "requirements-serve.txt"])
def test_the_lock_pins_hashes_and_names_no_registry(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    requirements = re.split(r"\n(?=[a-z0-9])", text)
    assert all("--hash=sha256:" in requirement for requirement in requirements)
