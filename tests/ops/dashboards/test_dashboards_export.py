"""`osmv dashboards export`."""

from __future__ import annotations

import json
from pathlib import Path

from dashboards import FILES
from typer.testing import CliRunner, Result

from opensearch_multivector.cli.main import app
from opensearch_multivector.errors import InputError


def export(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["dashboards", "export", str(folder), *options])


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_files_are_written(tmp_path: Path) -> None:
    done = export(tmp_path / "new" / "folder", "--json")
    assert done.exit_code == 0
    assert written(tmp_path / "new" / "folder") == FILES
    assert {Path(path).name for path in json.loads(done.stdout)} == {Path(path).name for path in FILES}
    assert {Path(path).parent.name for path in FILES} == {"grafana", "prometheus", "opensearch"}


def test_what_was_changed_is_kept_unless_forced(tmp_path: Path) -> None:
    assert export(tmp_path).exit_code == 0
    assert export(tmp_path).exit_code == 0  # nothing to overwrite
    rules = tmp_path / "prometheus/alerts.yml"
    rules.write_text("groups: []\n")
    (tmp_path / "grafana/searches.json").unlink()
    refused = export(tmp_path)
    assert isinstance(refused.exception, InputError)
    assert str(rules) in str(refused.exception)
    assert rules.read_text() == "groups: []\n"
    assert not (tmp_path / "grafana/searches.json").exists()  # refused before anything is written
    assert export(tmp_path, "--force").exit_code == 0
    assert written(tmp_path) == FILES


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "prometheus/alerts.yml").mkdir(parents=True)
    assert isinstance(export(tmp_path).exception, InputError)
