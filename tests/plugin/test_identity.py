"""What is said of engines that the project does not work with, from answers as they give them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner

from opensearch_multivector.cli.main import app
from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.plugin.identity import OPENSEARCH, SERVERLESS, Identity, identify
from opensearch_multivector.plugin.probe import probe


def root(
    number: str, tagline: str = "The OpenSearch Project: https://opensearch.org/", **version: Any
) -> tuple[int, str]:
    return 200, json.dumps({"name": "n", "version": {"number": number, **version}, "tagline": tagline})


def error(kind: str, reason: str, status: int) -> tuple[int, str]:
    return status, json.dumps({"error": {"type": kind, "reason": reason}, "status": status})


YOU_KNOW = "You Know, for Search"
PAGE = "<!DOCTYPE html><html><body>Sign in</body></html>"
NEVER = (404, json.dumps({"error": "no such path"}))


class Engine:
    """A server with answers for some paths, and one for all others."""

    def __init__(self) -> None:
        engine = self
        self.answers: dict[str, tuple[int, str]] = {}
        self.otherwise = NEVER

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                status, text = engine.answers.get(self.path.partition("?")[0], engine.otherwise)
                self.send_response(status)
                self.send_header("content-type", "text/html" if text.startswith("<") else "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text.encode())

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize(
    ("answer", "identity"),
    [
        (root("3.6.0", distribution="opensearch"), Identity(OPENSEARCH, "3.6.0")),
        (root("4.0.0", distribution="opensearch"), Identity(OPENSEARCH, "4.0.0")),
        (root("1.3.20", distribution="opensearch"), Identity(OPENSEARCH, "1.3.20")),
        (root("7.10.2"), Identity(OPENSEARCH, "2.11.0")),  # compatibility.override_main_response_version
        (root("8.15.0", YOU_KNOW, build_flavor="default"), Identity("Elasticsearch", "8.15.0")),
        (root("9.9", "Another", distribution="other"), Identity("other", "9.9")),
        (
            error("security_exception", "no permissions for [cluster:monitor/main] and User [x]", 403),
            Identity(OPENSEARCH, None),
        ),
    ],
)
def test_engines_are_told_apart(answer: tuple[int, str], identity: Identity, engine: Engine) -> None:
    nodes = {"nodes": {"a": {"version": "2.19.1"}, "b": {"version": "2.11.0"}}}
    engine.answers = {"/": answer, "/_nodes": (200, json.dumps(nodes))}
    assert identify(connect(engine.url)) == identity


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, PAGE), "is not OpenSearch's JSON: is the address a proxy's or a log-in page's"),
        ((502, PAGE), "another web server answered with status 502 and a page for people"),
        ((200, "{}"), "what answers there is no OpenSearch: check the URL"),
        ((200, "[]"), "what answers there is no OpenSearch: check the URL"),
        (NEVER, "what answers there is no OpenSearch: check the URL"),
        ((401, ""), "wants a valid user and password"),
        ((403, "{}"), "the cluster forbids this to the user"),
        (
            root("8.15.0", YOU_KNOW),
            "this is Elasticsearch 8.15.0, not OpenSearch: .* works with OpenSearch 2.19 and newer",
        ),
    ],
)
@pytest.mark.parametrize("command", [["doctor"], ["search", "bees", "--index", "articles"], ["status", "articles"]])
def test_every_command_says_what_it_met(command: list[str], answer: tuple[int, str], said: str, engine: Engine) -> None:
    engine.answers = {"/": answer}
    if answer[1] == PAGE or answer[0] in (401, 403):  # as for any path
        engine.otherwise = answer
    result = CliRunner().invoke(app, [*command, "--url", engine.url])
    assert isinstance(result.exception, ClusterError), result.exception
    assert result.exception.exit_code == 3
    with pytest.raises(ClusterError, match=said):
        raise result.exception


@pytest.mark.parametrize("number", ["1.3.20", "2.0.0", "2.18.0"])
def test_an_old_opensearch_is_said(number: str, engine: Engine) -> None:
    engine.answers = {"/": root(number, distribution="opensearch")}
    told = CliRunner().invoke(app, ["doctor", "--json", "--url", engine.url])
    assert told.exit_code == 1
    (check,) = [check for check in json.loads(told.stdout)["checks"] if check["name"] == "OpenSearch"]
    assert (check["state"], check["found"]) == ("missing", number)
    assert "upgrade the cluster to OpenSearch 2.19 or newer" in check["remedy"]
    failed = CliRunner().invoke(app, ["search", "bees", "--index", "articles", "--url", engine.url])
    assert f"this is OpenSearch {number}, which is too old" in str(failed.exception)


def test_a_newer_opensearch_is_a_warning_and_failures_are_its_own(engine: Engine) -> None:
    engine.answers = {"/": root("4.0.0", distribution="opensearch")}
    told = CliRunner().invoke(app, ["doctor", "--json", "--url", engine.url])
    assert told.exit_code == 0
    assert json.loads(told.stdout)["checks"][0]["state"] == "warning"
    failed = CliRunner().invoke(app, ["search", "bees", "--index", "articles", "--url", engine.url])
    assert "4.0" not in str(failed.exception)


def test_serverless_is_known_by_its_host(engine: Engine) -> None:
    client = connect(engine.url)
    client.transport.hosts[0]["host"] = (
        "abc.eu-central-1.aoss.amazonaws.com"  # its requests still go to the test's server
    )
    found = probe(client)
    assert (found.engine, found.version) == (SERVERLESS, None)
    assert found.plugins is None


def test_the_sentence_is_all_that_is_shown(engine: Engine) -> None:
    engine.answers = {"/": root("8.15.0", YOU_KNOW), "/articles/_mapping": (200, "{}")}
    command = [sys.executable, "-m", "opensearch_multivector.cli.main", "search", "bees", "--index", "articles"]
    done = subprocess.run([*command, "--url", engine.url], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("osmv: this is Elasticsearch 8.15.0, not OpenSearch")
    assert done.stderr.count("\n") == 1
