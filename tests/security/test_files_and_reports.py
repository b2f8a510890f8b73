"""What goes into files: exports and runs of a user who sees only some documents, and no secret in any of them."""

from __future__ import annotations

import base64
import copy
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from secured_node import ROLES, SecuredNode
from small_index import SmallIndex
from typer.testing import CliRunner

from opensearch_multivector.cli.main import app
from opensearch_multivector.indexing.export import export_vectors
from opensearch_multivector.plugin.connection import connect

pytestmark = pytest.mark.integration

SCROLL = ["indices:data/read/scroll", "indices:data/read/scroll/clear"]


def make_reader(node: SecuredNode, name: str, **restrictions: Any) -> str:
    """The password of a searcher who may scroll, too, with restrictions on the documents."""
    role = copy.deepcopy(yaml.safe_load(ROLES.read_text())["osmv_searcher"])
    role["cluster_permissions"] += SCROLL
    role["index_permissions"][0]["allowed_actions"] += SCROLL
    role["index_permissions"][0].update(restrictions)
    node.put("roles", name, role)
    return node.make_user(name, name)


def test_an_export_has_what_its_user_may_see(secured: SecuredNode, articles: SmallIndex, tmp_path: Path) -> None:
    odd = sorted(doc_id for doc_id, group in articles.groups.items() if group == "odd")
    dls = json.dumps({"term": {"group": "odd"}})
    for name, hidden, written in (("seeing", [], odd), ("half", ["~mv.vectors"], [])):
        client = connect(
            secured.url, user=name, password=make_reader(secured, name, dls=dls, fls=hidden), ca_certs=secured.ca
        )
        done = export_vectors(client, "articles", tmp_path / name, "jsonl")
        found = [json.loads(line)["_id"] for line in Path(done.file).read_text(encoding="utf-8").splitlines()]
        assert sorted(found) == written
        assert (done.documents, done.without) == (len(written), 15 - len(written))


def test_runs_hold_what_their_user_may_see_and_no_file_or_output_a_secret(
    secured: SecuredNode,
    articles: SmallIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    password = make_reader(secured, "runner", dls=json.dumps({"term": {"group": "odd"}}))
    coded = base64.b64encode(f"runner:{password}".encode()).decode()
    (tmp_path / "topics.tsv").write_text("1\tterm1 term2\n2\tterm3\n")
    relevant = [doc_id for doc_id, group in articles.groups.items() if group == "even"]
    (tmp_path / "qrels").write_text("".join(f"1 0 {doc_id} 1\n" for doc_id in relevant))
    monkeypatch.chdir(tmp_path)
    for name, value in {"USER": "runner", "PASSWORD": password, "CA_CERTS": secured.ca}.items():
        monkeypatch.setenv(f"OSMV_{name}", value)
    address = secured.url.removeprefix("https://")
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    judged = ["--topics", "topics.tsv", "--qrels", "qrels", "--config", "bm25", "--runs-dir", "runs"]
    for url in (secured.url, f"https://runner:{password}@{address}"):
        monkeypatch.setenv("OSMV_URL", url)
        for command, code in (
            (["eval", "--index", "articles", *judged], 0),
            (["export-vectors", "articles", "--out", "out", "--format", "npz"], 0),
            (["doctor", "--index", "articles", "--json"], 0),
            (["index", "topics.tsv", "--index", "articles"], 3),
            (["status", "articles"], 3),
            (["attach", "other", "--text", "text"], 3),
            (["search", "bees", "--index", "none", "--json"], 3),
        ):
            result = CliRunner().invoke(app, command)
            assert getattr(result.exception, "exit_code", result.exit_code) == code, (command, result.exception)
            said += [result.output, repr(result.exception), str(result.exception)]
    (run,) = (tmp_path / "runs").glob("*.trec")
    ranked = {line.split()[2] for line in run.read_text().splitlines()}
    assert ranked
    assert {articles.groups[doc_id] for doc_id in ranked} == {"odd"}
    said += [record.getMessage() + str(record.exc_text or "") for record in caplog.records]
    said += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert any("articles" in text for text in said)
    for secret in (password, coded):
        assert not [text[:200] for text in said if secret in text]
