"""Interrupted runs go on where they stood; the command's summary, exit codes and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch
from osmv_here import osmv
from ready_documents import document, load, write

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing import Limits, Progress
from opensearch_multivector.plugin.state import STATE_INDEX

pytestmark = pytest.mark.integration


class Stop(Exception):
    pass


def stop_after(lines: int) -> Any:
    def progress(progress: Progress) -> None:
        if progress.counts.read >= lines:
            raise Stop

    return progress


class TestResume:
    """An exception out of the progress callback ends a run as abruptly as a kill does: no checkpoint is written."""

    LIMITS = Limits(batch=10, bulk_documents=10, checkpoint_lines=1)

    def interrupt(self, client: OpenSearch, index: str, path: Path) -> None:
        with pytest.raises(Stop):
            load(client, index, path, limits=self.LIMITS, progress=stop_after(40))

    def test_goes_on_where_it_stood(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        lines: list[Any] = [document(number) for number in range(100)]
        lines[7], lines[70] = b"x", document(3)
        path = write(tmp_path / "docs.jsonl", lines)
        self.interrupt(client, index_name, path)
        before = {hit["_id"]: hit["_version"] for hit in self.versions(client, index_name)}
        said: list[str] = []
        summary = load(client, index_name, path, limits=self.LIMITS, message=said.append)
        assert summary.resumed_from >= 20
        assert (summary.read, summary.indexed, summary.rejected) == (100, 98, 2)
        assert said == [f"going on with the interrupted run of {path} after line {summary.resumed_from}"]
        after = {hit["_id"]: hit["_version"] for hit in self.versions(client, index_name)}
        assert {doc_id: after[doc_id] for doc_id in before} == before
        dead = [json.loads(line)["line"] for line in (tmp_path / "dead.jsonl").read_text().splitlines()]
        assert sorted(dead) == [8, 71]

    def versions(self, client: OpenSearch, index: str) -> list[dict[str, Any]]:
        client.indices.refresh(index=index)
        hits: list[dict[str, Any]] = client.search(index=index, body={"size": 200, "version": True})["hits"]["hits"]
        return hits

    def test_changed_input_starts_anew(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        path = write(tmp_path / "docs.jsonl", [document(number) for number in range(100)])
        self.interrupt(client, index_name, path)
        write(path, [document(0, text="changed"), *(document(number) for number in range(1, 90))])
        said: list[str] = []
        summary = load(client, index_name, path, message=said.append)
        assert (summary.resumed_from, summary.indexed) == (0, 90)
        assert "changed since the interrupted run" in said[0]
        assert client.get(index=index_name, id="d0")["_source"]["text"] == "changed"

    def test_restart_and_an_index_made_anew(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        path = write(tmp_path / "docs.jsonl", [document(number) for number in range(100)])
        self.interrupt(client, index_name, path)
        assert load(client, index_name, path, restart=True).resumed_from == 0
        client.indices.delete(index=index_name)
        self.interrupt(client, index_name, path)
        client.indices.delete(index=index_name)
        summary = load(client, index_name, path)
        assert (summary.resumed_from, summary.indexed) == (0, 100)
        assert client.count(index=index_name)["count"] == 100

    def test_a_second_process_takes_over(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        path = write(tmp_path / "docs.jsonl", [document(number) for number in range(100)])
        taken_over = False

        def take_over(progress: Progress) -> None:
            nonlocal taken_over
            if progress.counts.read >= 40 and not taken_over:
                taken_over = True
                assert load(client, index_name, path, limits=self.LIMITS).indexed == 100

        with pytest.raises(ClusterError, match="another process is indexing"):
            load(client, index_name, path, limits=self.LIMITS, progress=take_over)
        assert client.count(index=index_name)["count"] == 100

    def test_state_is_hidden(self, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
        load(client, index_name, write(tmp_path / "docs.jsonl", [document(0)]))
        assert STATE_INDEX not in client.indices.get(index="*")
        assert STATE_INDEX in client.indices.get(index=STATE_INDEX)


class TestCommand:
    def test_summary_exit_codes_and_standard_input(self, node_url: str, index_name: str, tmp_path: Path) -> None:
        good = write(tmp_path / "docs.jsonl", [document(0), document(1)])
        done = osmv("index", str(good), "--index", index_name, "--url", node_url, cwd=tmp_path)
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "2 read = 2 indexed + 0 rejected"), done.stderr
        lines = b"nope\n" + good.read_bytes()
        with (tmp_path / "in").open("wb") as file:
            file.write(lines)
        with (tmp_path / "in").open("rb") as stdin:
            done = osmv("index", "-", "--index", index_name, "--url", node_url, "--json", cwd=tmp_path, stdin=stdin)
        assert done.returncode == 1, done.stderr
        summary = json.loads(done.stdout)
        assert (summary["read"], summary["indexed"], summary["rejected"]) == (3, 2, 1)
        assert summary["rejections"][0]["line"] == 1
        assert Path(summary["dead_letters"]).name == f"{index_name}.stdin.dead.jsonl"

    def test_ready_vectors_need_no_model_package(self, node_url: str, index_name: str, tmp_path: Path) -> None:
        write(tmp_path / "docs.jsonl", [document(0)])
        absent = "torch", "transformers", "onnxruntime", "tokenizers", "pyarrow"
        program = f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
        program += "from opensearch_multivector.cli.main import run; run()"
        command = [sys.executable, "-c", program, "index", "docs.jsonl", "--index", index_name, "--url", node_url]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout.splitlines()[:1]) == (0, ["1 read = 1 indexed + 0 rejected"]), done.stderr

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (["none.jsonl"], 2, "none.jsonl does not exist"),
            (["docs.jsonl", "--codec", "int3"], 2, "unknown codec 'int3'"),
            (["docs.jsonl", "--encoder", "no/such-model"], 2, "no/such-model"),
            (["docs.jsonl", "--url", "http://127.0.0.1:9"], 3, "nothing answers"),
            (["docs.jsonl", "--batch", "0"], 2, "--batch"),
        ],
    )
    def test_bad_usage_is_a_sentence(
        self, arguments: list[str], code: int, words: str, node_url: str, index_name: str, tmp_path: Path
    ) -> None:
        write(tmp_path / "docs.jsonl", [document(0)])
        url = [] if "--url" in arguments else ["--url", node_url]
        done = osmv("index", *arguments, "--index", index_name, *url, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr

    def written(self, client: OpenSearch, index: str) -> int:
        primaries = client.indices.stats(index=index, metric="indexing")["_all"]["primaries"]
        return int(primaries.get("indexing", {}).get("index_total", 0))

    def test_ctrl_c_finishes_in_order_and_says_how_to_resume(
        self, node_url: str, client: OpenSearch, index_name: str, tmp_path: Path
    ) -> None:
        write(tmp_path / "docs.jsonl", [document(number) for number in range(20_000)])
        command = [sys.executable, "-m", "opensearch_multivector.cli.main", "index", "docs.jsonl"]
        options = ["--index", index_name, "--url", node_url, "--json"]
        process = subprocess.Popen(
            command + options, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
        )
        while process.poll() is None and not client.indices.exists(index=index_name):
            time.sleep(0.05)
        while process.poll() is None and not self.written(client, index_name):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert "the same command goes on from there" in errors
        assert "Traceback" not in errors
        stopped = json.loads(output)
        assert stopped["interrupted"]
        assert stopped["read"] < 20_000
        done = osmv("index", "docs.jsonl", *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["resumed_from"] == stopped["read"]
        assert client.count(index=index_name)["count"] == 20_000
