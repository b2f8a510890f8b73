"""The native plugin's zip in this package: found, read, offered by `osmv plugin`; or not there."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from opensearch_multivector.cli.main import app
from opensearch_multivector.plugin import carried as module
from opensearch_multivector.plugin.carried import Carried, carried
from opensearch_multivector.plugin.node.control import plugin_for


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return tmp_path


def put_plugin(folder: Path) -> Path:
    path = folder / "opensearch-multivector-3.6.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        descriptor = 'name=x\nversion=0.1.0\ndependencies={ opensearch: "~3.6.0" }\njava.version=21\n'
        archive.writestr("plugin-descriptor.properties", descriptor)
    return path


def test_what_is_carried_is_read_from_its_descriptor(folder: Path) -> None:
    path = put_plugin(folder)
    assert carried() == Carried(path, "0.1.0", "3.6.0")


@pytest.mark.parametrize(
    ("opensearch", "fits"), [("3.6.0", True), ("3.6.2", True), ("3.5.9", False), ("3.7.0", False), ("4.6.0", False)]
)
def test_it_fits_its_minor_release(folder: Path, opensearch: str, fits: bool) -> None:
    path = put_plugin(folder)
    assert Carried(path, "0.1.0", "3.6.0").fits(opensearch) is fits
    assert (plugin_for(opensearch, Console(quiet=True)) == path) is fits


def test_the_command_says_where_it_lies_and_how_to_install_it(folder: Path) -> None:
    path = put_plugin(folder)
    result = CliRunner().invoke(app, ["plugin"])
    assert (result.exit_code, result.stdout) == (0, f"{path}\n")
    assert f"bin/opensearch-plugin install file://{path}" in result.stderr
    facts = json.loads(CliRunner().invoke(app, ["plugin", "--json"]).stdout)
    assert facts == {
        "path": str(path),
        "version": "0.1.0",
        "opensearch": "3.6.0",
        "install": f"bin/opensearch-plugin install file://{path}",
    }


@pytest.mark.usefixtures("folder")
def test_a_package_without_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert carried() is None
    result = CliRunner().invoke(app, ["plugin"])
    assert result.exit_code == 1
    assert "make plugin" in result.stderr
    assert plugin_for("3.6.0", Console(stderr=True)) is None
    assert "the node does without" in capsys.readouterr().err
