"""TLS, passwords and tokens against the real security plugin; no secret shows where it could be read."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from secured_node import SecuredNode
from small_index import SmallIndex, make_query

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.connection import cluster_errors, connect, connect_async
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration


def said_by(secured: SecuredNode, **options: Any) -> str:
    """What the cluster's refusal is said as; an empty text where it answers."""
    try:
        with cluster_errors():
            connect(secured.url, **({"ca_certs": secured.ca} | options)).info()
    except ClusterError as error:
        return str(error)
    return ""


async def test_a_token_logs_in_until_it_ends(
    secured: SecuredNode, articles: SmallIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secured.put("rolesmapping", "osmv_searcher", {"backend_roles": ["searching"]})
    token = secured.token("tilda", "searching")
    (tmp_path / "token").write_text(token + "\n")
    by_file = connect(secured.url, token_file=str(tmp_path / "token"), ca_certs=secured.ca)
    assert Searcher(by_file, "articles").search(make_query()).hits
    monkeypatch.setenv("OSMV_TOKEN", token)
    async with connect_async(secured.url, ca_certs=secured.ca) as client:
        assert await client.indices.get_mapping(index="articles")
    monkeypatch.setenv("OSMV_TOKEN", secured.token("tilda", "searching", seconds=-60))
    assert "wants a valid user and password, or a token" in said_by(secured)
    monkeypatch.setenv("OSMV_TOKEN", token[:-6] + "AAAAAA")
    assert "wants a valid user and password, or a token" in said_by(secured)


def test_the_authority_is_checked(secured: SecuredNode, monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"user": "ca", "password": secured.make_user("ca", "osmv_searcher")}
    assert "can't be verified" in said_by(secured, **login, ca_certs=None)
    monkeypatch.setenv("OSMV_CA_CERTS", secured.ca)
    assert "lacks the permission" in said_by(secured, **login, ca_certs=None)  # through TLS and login, to the roles
    assert "wants a valid user" in said_by(secured, user="ca", password="wrong", ca_certs=None)
    assert "wants a valid user" in said_by(secured, ca_certs=None)


def test_no_secret_is_shown(
    secured: SecuredNode, articles: SmallIndex, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as it is nor in the header's base64: in logs of all levels, representations and exceptions."""
    password, token = secured.make_user("shown", "osmv_searcher"), secured.token("shown", "none")
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    coded = base64.b64encode(f"shown:{password}".encode()).decode()
    shown: list[str] = []
    for options in ({"user": "shown", "password": password}, {"token": token}):
        client = connect(secured.url, ca_certs=secured.ca, **options)
        shown += [repr(client), repr(client.transport), repr(client.transport.get_connection()), str(client)]
        try:
            shown.append(repr(Searcher(client, "articles").search(make_query(), explain=True)))
            client.indices.delete(index="articles")
        except Exception as error:
            while error is not None:
                shown += [repr(error), str(error), repr(vars(error))]
                error = error.__cause__ or error.__context__  # type: ignore[assignment]
    logged = [record.getMessage() + str(record.exc_text or "") for record in caplog.records]
    assert any("articles" in line for line in logged)
    for text in (*shown, *logged):
        for secret in (password, token.split(".")[2], coded):
            assert secret not in text


def test_no_secret_is_on_a_command_line_or_in_its_output(
    secured: SecuredNode, articles: SmallIndex, tmp_path: Path
) -> None:
    """The process list while `osmv search` waits for its answer, and what it prints, refused and not."""
    password = secured.make_user("listed", "osmv_searcher")
    np.save(tmp_path / "query.npy", make_query().vectors)
    (tmp_path / "password").write_text(password)
    for index, code in (("articles", 0), ("other", 3)):
        arguments = ["search", "--query-vectors", str(tmp_path / "query.npy"), "--index", index, "--json"]
        command = [sys.executable, "-m", "opensearch_multivector.cli.main", *arguments]
        environment = os.environ | {
            "OSMV_URL": secured.url,
            "OSMV_USER": "listed",
            "OSMV_PASSWORD_FILE": str(tmp_path / "password"),
            "OSMV_CA_CERTS": secured.ca,
        }
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
            listed = b""
            while running.poll() is None and not listed:
                listed = Path(f"/proc/{running.pid}/cmdline").read_bytes()
            output, _ = running.communicate()
        assert running.returncode == code, output
        assert b"search" in listed
        assert password.encode() not in listed + output
