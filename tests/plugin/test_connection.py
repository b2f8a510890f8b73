from __future__ import annotations

import base64
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import typer
from opensearchpy import OpenSearch

from opensearch_multivector.cli.main import app
from opensearch_multivector.errors import ClusterError, InputError
from opensearch_multivector.plugin.connection import cluster_errors, connect, connect_async

VARIABLES = (
    "URL",
    "USER",
    "PASSWORD",
    "PASSWORD_FILE",
    "TOKEN",
    "TOKEN_FILE",
    "CA_CERTS",
    "VERIFY_CERTS",
    "AWS_REGION",
    "AWS_SERVICE",
)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"OSMV_{name}", raising=False)


def host_of(client: OpenSearch) -> str:
    return str(client.transport.hosts[0]["host"])


def sent_user(client: OpenSearch) -> str:
    header = client.transport.get_connection().headers["authorization"]
    return base64.b64decode(header.removeprefix("Basic ")).decode()


@pytest.mark.parametrize(
    ("url", "host", "port", "secure", "prefix"),
    [
        ("http://search.example:9201", "search.example", 9201, False, None),
        ("https://search.example", "search.example", 443, True, None),
        ("search.example", "search.example", 9200, False, None),
        ("https://gateway.example/search/eu/", "gateway.example", 443, True, "search/eu"),
        ("http://[::1]:9200", "::1", 9200, False, None),
    ],
)
def test_parts_of_the_url(url: str, host: str, port: int, secure: bool, prefix: str | None) -> None:
    (node,) = connect(url).transport.hosts
    assert (node["host"], node["port"], node["use_ssl"]) == (host, port, secure)
    assert node.get("url_prefix") == prefix


@pytest.mark.parametrize(
    "url", ["ftp://search.example", "http://", "http://search.example:port", "://", "\\u0000\U00072c82"]
)
def test_an_unusable_url_is_named_without_its_password(url: str) -> None:
    with pytest.raises(InputError, match="is not the address of a cluster"):
        connect(url)
    with pytest.raises(InputError) as refused:
        connect("ftp://me:secret@search.example")
    assert "secret" not in str(refused.value)


def test_several_nodes_of_a_cluster() -> None:
    client = connect("https://a.example:9201, https://me:x%2Cy,z@b.example/eu")
    assert [(node["host"], node["port"]) for node in client.transport.hosts] == [
        ("a.example", 9201),
        ("b.example", 443),
    ]
    assert sent_user(client) == "me:x,y,z"
    with pytest.raises(InputError, match="all with https"):
        connect("https://a.example,http://b.example")
    with pytest.raises(InputError, match="'http://:9200' is not the address"):
        connect("http://a.example,http://:9200")


def test_argument_before_url_before_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSMV_URL", "http://environment.example")
    monkeypatch.setenv("OSMV_USER", "environment")
    monkeypatch.setenv("OSMV_PASSWORD", "pässwörd")
    assert host_of(connect()) == "environment.example"
    assert sent_user(connect()) == "environment:pässwörd"
    assert host_of(connect("http://given.example")) == "given.example"
    assert sent_user(connect("http://url:a%3Ab@given.example")) == "url:a:b"
    assert sent_user(connect("http://url:x@given.example", user="argument", password="p")) == "argument:p"


def test_a_password_or_a_token_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" pass:wörd \r\n", encoding="utf-8")
    (tmp_path / "token").write_text("abc.def\n")
    assert sent_user(connect("http://search.example", user="me", password_file=str(tmp_path / "secret"))) == (
        "me: pass:wörd "
    )
    monkeypatch.setenv("OSMV_USER", "me")
    monkeypatch.setenv("OSMV_PASSWORD", "of the environment")
    monkeypatch.setenv("OSMV_PASSWORD_FILE", str(tmp_path / "secret"))
    assert sent_user(connect("http://search.example")) == "me: pass:wörd "
    monkeypatch.delenv("OSMV_USER")
    monkeypatch.setenv("OSMV_TOKEN_FILE", str(tmp_path / "token"))
    client = connect("http://search.example")
    assert client.transport.get_connection().headers["authorization"] == "Bearer abc.def"
    assert sent_user(connect("http://url:p@search.example")) == "url:p"


def test_an_unusable_secret_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "lines").write_text("a\nb\nc")
    for name, reason in (
        ("missing", "No such file"),
        ("empty", "is empty"),
        ("binary", "no UTF-8"),
        ("lines", "header"),
    ):
        with pytest.raises(InputError, match=reason):
            connect("http://search.example", token_file=str(tmp_path / name))
    for given in ({"user": "me", "token": "secret"}, {"user": "me", "token_file": str(tmp_path / "lines")}):
        with pytest.raises(InputError, match="a user or a token, not both") as refused:
            connect("http://search.example", **given)
        assert "secret" not in str(refused.value)
    monkeypatch.setenv("OSMV_USER", "me")
    monkeypatch.setenv("OSMV_TOKEN", "secret")
    with pytest.raises(InputError, match="both OSMV_USER and OSMV_TOKEN"):
        connect("http://search.example")


def test_no_command_has_an_option_for_a_secret() -> None:
    command = typer.main.get_command(app)
    found: list[str] = []
    waiting = [command]
    while waiting:
        each = waiting.pop()
        waiting += getattr(each, "commands", {}).values()
        found += [name for parameter in each.params for name in parameter.opts]
    assert "--password-file" in found
    assert not {"--password", "--token", "--secret", "--api-key"} & set(found)


def test_no_user_sends_no_header() -> None:
    assert "authorization" not in connect("http://search.example").transport.get_connection().headers


def test_a_wrong_flag_or_ca_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.pem"):
        connect("https://search.example", ca_certs=str(tmp_path / "nowhere.pem"))
    (tmp_path / "not.pem").write_text("no certificate")
    with pytest.raises(InputError, match=r"not\.pem"):
        connect("https://search.example", ca_certs=str(tmp_path / "not.pem"))
    monkeypatch.setenv("OSMV_VERIFY_CERTS", "maybe")
    with pytest.raises(InputError, match="OSMV_VERIFY_CERTS"):
        connect("https://search.example")


async def test_nothing_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ClusterError, match=f"nothing answers at {url[7:]}.*osmv node start"), cluster_errors():
        connect(url).info()
    async with connect_async(url) as client:
        with pytest.raises(ClusterError, match="nothing answers"), cluster_errors():
            await client.info()


@pytest.mark.integration
async def test_the_others_are_asked_where_a_node_does_not_answer(node_url: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        urls = f"http://127.0.0.1:{free.getsockname()[1]},{node_url}"
    with connect(urls) as client:
        assert all(client.info()["version"] for _ in range(4))
    async with connect_async(urls) as client:
        assert all([(await client.info())["version"] for _ in range(4)])


class Silent(BaseHTTPRequestHandler):
    """Answers every request with an empty object, over whatever transport it is served on."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command makes the certificate, and is not installed")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    extension = "subjectAltName=DNS:localhost"
    subprocess.run([*command.split(), "-addext", extension], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem"


@pytest.fixture(scope="module")
def tls_port(certificate: Path) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


async def answers(url: str, **options: object) -> list[str]:
    """What the sync and the async client say: an empty text where the request went through."""
    said = []
    try:
        with cluster_errors():
            connect(url, **options).info()  # type: ignore[arg-type]
        said.append("")
    except ClusterError as error:
        said.append(str(error))
    async with connect_async(url, **options) as client:  # type: ignore[arg-type]
        try:
            with cluster_errors():
                await client.info()
            said.append("")
        except ClusterError as error:
            said.append(str(error))
    return said


async def test_a_certificate_of_an_unknown_authority(tls_port: int, certificate: Path) -> None:
    for said in await answers(f"https://localhost:{tls_port}"):
        assert "can't be verified" in said
        assert "--ca-certs" in said
    assert await answers(f"https://localhost:{tls_port}", ca_certs=str(certificate)) == ["", ""]
    assert await answers(f"https://localhost:{tls_port}", verify_certs=False) == ["", ""]


async def test_a_certificate_for_another_host(tls_port: int, certificate: Path) -> None:
    for said in await answers(f"https://127.0.0.1:{tls_port}", ca_certs=str(certificate)):
        assert "is for another host name" in said


async def test_plain_http_to_a_tls_port(tls_port: int) -> None:
    for said in await answers(f"http://localhost:{tls_port}"):
        assert "use https://" in said


async def test_tls_to_a_plain_http_port() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for said in await answers(f"https://localhost:{server.server_address[1]}"):
            assert "does not speak TLS: use http://" in said
    finally:
        server.shutdown()
        server.server_close()


async def test_a_cluster_that_never_answers() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        for said in await answers(f"http://127.0.0.1:{mute.getsockname()[1]}", timeout=0.2):
            assert "did not answer in time" in said


def test_a_user_that_is_no_text() -> None:
    with pytest.raises(InputError, match="no text"):
        connect("http://127.0.0.1:9", user="\udced", password="secret")
