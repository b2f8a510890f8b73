"""Requests signed for AWS, checked one by one by botocore itself before the real node sees them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials, ReadOnlyCredentials
from opensearchpy import OpenSearch
from ready_documents import document, load, write
from same_hits import assert_same_ranking, ranking
from signing_proxy import SigningProxy, signing_proxy
from small_index import SmallIndex, make_index, make_query

from opensearch_multivector.errors import ClusterError, InputError
from opensearch_multivector.plugin import sigv4
from opensearch_multivector.plugin.connection import cluster_errors, connect, connect_async
from opensearch_multivector.queries.async_searcher import AsyncSearcher
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

REGION = "eu-central-1"
SECRET, TOKEN = "secret/of+a=test", "token/of+a=session=="
INDEX = "osmv-test-signed"


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials as any AWS tool takes them: nothing of the tester's own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)


@pytest.fixture
def proxy(node_url: str) -> Iterator[SigningProxy]:
    with signing_proxy(node_url, Credentials("AKIATEST", SECRET, TOKEN), REGION, "es") as opened:
        yield opened


@pytest.fixture(scope="module")
def small(client: OpenSearch) -> Iterator[SmallIndex]:
    client.indices.delete(index=INDEX, ignore_unavailable=True)
    yield make_index(client, INDEX, count=30)
    client.indices.delete(index=INDEX)


def said_by(url: str, **options: Any) -> str:
    """What the refusal is said as; an empty text where the node answers."""
    try:
        with cluster_errors():
            connect(url, **({"aws_region": REGION} | options)).info()
    except ClusterError as error:
        return str(error)
    return ""


async def test_searches_are_signed_with_their_bodies(
    proxy: SigningProxy, client: OpenSearch, small: SmallIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = make_query()
    plain = Searcher(client, INDEX).search(query, first_stage="bm25+dense")
    signed = connect(proxy.url, aws_region=REGION)
    results = [
        Searcher(signed, INDEX).search(query, first_stage="bm25+dense"),
        *Searcher(signed, INDEX).search_many([query, query], first_stage="bm25+dense"),
    ]
    monkeypatch.setenv("OSMV_AWS_REGION", REGION)
    async with connect_async(proxy.url) as async_client:
        searcher = await AsyncSearcher.open(async_client, INDEX)
        results.append(
            await searcher.search(query, first_stage="bm25+dense", filter={"terms": {"group": ["odd", "even"]}})
        )
        with pytest.raises(ClusterError, match="there is no index 'none'"):
            await AsyncSearcher.open(async_client, "none")
    for result in results:
        assert_same_ranking(ranking(result.hits), ranking(plain.hits))
    assert any("/_msearch" in path for path in proxy.signed)
    assert not proxy.refused


def test_documents_are_written_signed(proxy: SigningProxy, client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    """By several threads at once, and with a name that a path has to quote."""
    documents = write(tmp_path / "documents.jsonl", [document(number) for number in range(60)])
    signed = connect(proxy.url, aws_region=REGION)
    assert load(signed, index_name, documents, codec="f32").indexed == 60
    signed.index(
        index=index_name, id="a b/c:ä,*~+%41", body={"text": "x"}, params={"routing": "r,1*~/:ä", "refresh": "true"}
    )
    assert client.count(index=index_name)["count"] == 61
    assert signed.get(index=index_name, id="a b/c:ä,*~+%41", params={"routing": "r,1*~/:ä"})["found"]
    assert not signed.exists(index=index_name, id="none")
    assert any("_bulk" in path for path in proxy.signed)
    assert not proxy.refused


async def test_a_wrong_secret_region_service_and_an_ended_session_are_said(
    proxy: SigningProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said_by(proxy.url) == ""
    assert "should be scoped to a valid region" in said_by(proxy.url, aws_region="us-east-1")
    assert "check the credentials, --aws-region and --aws-service (" in said_by(proxy.url, aws_service="aoss")
    proxy.ended = True
    assert "the AWS session has ended: get new credentials" in said_by(proxy.url)
    proxy.ended = False
    with monkeypatch.context() as changed:
        changed.setenv("AWS_SECRET_ACCESS_KEY", "another")
        said = said_by(proxy.url)
        assert "AWS refuses the signature: check the credentials" in said
        assert TOKEN not in said
        async with connect_async(proxy.url, aws_region=REGION) as client:
            with pytest.raises(ClusterError, match="AWS refuses the signature"), cluster_errors():
                await client.info()
        changed.setenv("AWS_SESSION_TOKEN", "another")
        assert "is invalid" in said_by(proxy.url)
    with pytest.raises(ClusterError, match="AWS wants signed requests: give --aws-region"), cluster_errors():
        connect(proxy.url).info()


async def test_credentials_that_can_not_be_renewed_are_said(
    proxy: SigningProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import CredentialRetrievalError

    class Ended:
        def get_frozen_credentials(self) -> ReadOnlyCredentials:
            raise CredentialRetrievalError(provider="sso", error_msg="the token has expired")

    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda *_: Ended())
    assert "the AWS credentials could not be renewed" in said_by(proxy.url)
    async with connect_async(proxy.url, aws_region=REGION) as client:
        with pytest.raises(ClusterError, match=r"could not be renewed.*the token has expired"), cluster_errors():
            await client.info()
    assert not proxy.signed


def test_credentials_come_from_the_usual_places(
    proxy: SigningProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(ClusterError, match="no AWS credentials were found"):
        connect(proxy.url, aws_region=REGION)
    keys = f"aws_access_key_id=AKIATEST\naws_secret_access_key={SECRET}\naws_session_token={TOKEN}\n"
    (tmp_path / "credentials").write_text(f"[search]\n{keys}")
    monkeypatch.setenv("AWS_PROFILE", "search")
    assert said_by(proxy.url) == ""
    monkeypatch.setenv("AWS_PROFILE", "none")
    with pytest.raises(ClusterError, match=r"credentials can't be read.*none"):
        connect(proxy.url, aws_region=REGION)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="no service that OpenSearch runs in: choose es, or aoss"):
        connect("http://search.example", aws_region=REGION, aws_service="s3")
    with pytest.raises(InputError, match="not the name of an AWS region"):
        connect("http://search.example", aws_region="EU (Frankfurt)")
    for who in ({"user": "me"}, {"token": "abc"}):
        with pytest.raises(InputError, match="a user or a token, or an AWS region, not both"):
            connect("http://search.example", aws_region=REGION, **who)


def test_no_secret_of_aws_is_shown(proxy: SigningProxy, small: SmallIndex, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("botocore.auth").setLevel(logging.NOTSET)
    client = connect(proxy.url, aws_region=REGION)
    signer = sigv4.signer(REGION, None)
    shown = [repr(client), repr(client.transport.get_connection()), repr(signer), repr(vars(client.transport))]
    shown.append(repr(Searcher(client, INDEX).search(make_query())))
    proxy.ended = True
    shown.append(said_by(proxy.url))
    logged = [record.getMessage() + str(record.exc_text or "") for record in caplog.records]
    assert any(INDEX in line for line in logged)
    for text in (*shown, *logged):
        assert SECRET not in text
        assert TOKEN not in text


def test_the_command_signs(node_url: str, small: SmallIndex) -> None:
    command = [sys.executable, "-m", "opensearch_multivector.cli.main", "doctor", "--index", INDEX]
    with signing_proxy(node_url, Credentials("AKIATEST", SECRET, TOKEN), REGION, "aoss") as proxy:
        options = ["--url", proxy.url, "--aws-region", REGION, "--aws-service", "aoss"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr
        assert not proxy.refused
        assert proxy.signed
