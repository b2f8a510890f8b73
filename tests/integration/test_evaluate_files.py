"""`osmv eval` over an index that is there, with topics and judgements in files of their own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from opensearchpy import OpenSearch
from ready_documents import document, load

from opensearch_multivector.cli.main import run

pytest.importorskip("ir_measures")

pytestmark = pytest.mark.integration

TREC = "<top>\n<num> Number: 0{0}\n<title> word{0}\n\n<desc> Description:\nnothing\n</top>\n"


def test_trec_topics_and_trec_qrels(
    client: OpenSearch,
    node_url: str,
    index_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    load(client, index_name, [document(number) for number in range(8)])
    Path("topics.txt").write_text("".join(TREC.format(number) for number in (1, 2, 3)))
    # Topic 2 is judged for a document that its word does not find.
    Path("qrels.txt").write_text("1 0 d1 1\n2 0 d5 1\n")

    def osmv(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["osmv", "eval", *arguments, "--config", "bm25", "--json", "--url", node_url])
        code = 0
        try:
            run()
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err.replace("\n", " ")

    files = ("--topics", "topics.txt", "--qrels", "qrels.txt")
    code, shown, said = osmv("--index", index_name, *files, "--measure", "R@10")
    assert code == 0, said
    figures = json.loads(shown)
    assert (figures["topics"], figures["topics_without_judgements"]) == (2, 1)
    assert figures["configurations"][0]["measures"] == {"R@10": 0.5}

    for arguments, reason in (
        (files, "there are no documents: give --index"),
        (("--index", index_name, *files[:2]), "both --topics and --qrels"),
        (("--index", index_name, "--topics", "absent", "--qrels", "qrels.txt"), "absent"),
    ):
        code, _, said = osmv(*arguments)
        assert code in (2, 5), said
        assert reason in said
