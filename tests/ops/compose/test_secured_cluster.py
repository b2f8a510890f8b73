"""docker/compose.yaml brought up without Docker: nodes with security, users, the service, the exporter, Prometheus."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_files import DOCKER, SECURED, services
from opensearchpy import AuthenticationException, AuthorizationException, OpenSearch
from osmv_here import osmv
from secured_cluster import NODES, SecuredCluster, secured_cluster, wait_for_nodes
from waiting import until

from opensearch_multivector.plugin.node.configure import free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow]
DOCUMENTS = [
    {"id": "bees", "text": "Bees find their way home by the sun and by landmarks."},
    {"id": "terns", "text": "Arctic terns migrate from pole to pole and back."},
    {"id": "eels", "text": "Eels cross an ocean to spawn where they hatched."},
]
QUERY = "birds that travel far"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredCluster]:
    """With its users."""
    if missing := [each for each in ("openssl", "curl") if shutil.which(each) is None]:
        pytest.skip(f"wants {' and '.join(missing)}")
    private = tmp_path_factory.mktemp("compose") / "private"
    subprocess.run([DOCKER / "prepare", private], check=True, capture_output=True)
    with secured_cluster(f"osmv-test-{os.getpid()}-compose", private) as started:
        made = started.make_users()
        assert made.returncode == 0, made.stderr
        yield started


@pytest.fixture(scope="module")
def filled(cluster: SecuredCluster, tmp_path_factory: pytest.TempPathFactory) -> SecuredCluster:
    """The user `indexer` has filled an index, and attached a sidecar to one that is somebody else's."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "docs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in DOCUMENTS))
    with cluster.client("admin") as admin:
        wait_for_nodes(admin, len(NODES))
        for each in DOCUMENTS:
            admin.index(index="articles-old", id=each["id"], body={"text": each["text"]}, refresh=True)
        login = ["--url", ",".join(cluster.urls.values()), "--ca-certs", str(cluster.private / "ca.pem")]
        login += ["--user", "indexer", "--password-file", str(cluster.private / "indexer-password")]
        for command in (
            ["index", "docs.jsonl", "--index", "articles", *login],
            ["attach", "articles-old", "--text", "text", "--mode", "sidecar", *login],
            ["backfill", "articles-old", *login],
        ):
            ran = osmv(*command, cwd=folder)
            assert ran.returncode == 0, ran.stderr
        admin.indices.refresh(index="articles*,osmv-*")
        admin.indices.put_alias(index="articles", name="articles-live")
    return cluster


@contextmanager
def running(cluster: SecuredCluster, service: str, folder: Path, *more: str) -> Iterator[str]:
    """`osmv` as the compose file starts it for a service; where it answers."""
    port = free_port()
    command = [cluster.here(each, service) for each in services(SECURED)[service]["command"]]
    log = folder / f"{service}.log"
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "opensearch_multivector.cli.main", *command, f"--port={port}", *more],
            env=os.environ | cluster.environment(service),
            stdout=output,
            stderr=output,
        )
    url = f"{'https' if any('--tls-cert' in each for each in command) else 'http'}://127.0.0.1:{port}"
    try:
        yield url
    finally:
        started.terminate()
        started.wait(30)
        assert "Traceback" not in log.read_text()


class Caller:
    """Whoever calls the service or the exporter; ``token``: what is sent along."""

    def __init__(self, cluster: SecuredCluster, url: str, token: str | None = None) -> None:
        self.url = url
        self._context = ssl.create_default_context(cafile=str(cluster.private / "ca.pem"))
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __call__(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
        headers = self._headers | ({"Content-Type": "application/json"} if body else {})
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode() if body else None, headers)
        context = self._context if self.url.startswith("https") else None
        try:
            with urllib.request.urlopen(request, timeout=60, context=context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)


def healthy(cluster: SecuredCluster, service: str, url: str) -> bool:
    """What the health check of the compose file says."""
    _, _, *arguments = services(SECURED)[service]["healthcheck"]["test"]
    asked = [re.sub(r"^https?://localhost:\d+", url, cluster.here(each, service)) for each in arguments]
    return subprocess.run([sys.executable, *asked], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def everything(filled: SecuredCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Caller, Caller]]:
    """The service, called with its token, and the exporter."""
    folder = tmp_path_factory.mktemp("logs")
    token = (filled.private / "api-token").read_text().strip()
    with ExitStack() as stack:
        service = Caller(filled, stack.enter_context(running(filled, "service", folder)), token)
        exporter = Caller(filled, stack.enter_context(running(filled, "exporter", folder)))
        until(lambda: healthy(filled, "service", service.url), "the service is healthy")
        until(lambda: healthy(filled, "exporter", exporter.url), "the exporter is healthy")
        yield service, exporter


def test_nobody_comes_in_without_a_password(cluster: SecuredCluster) -> None:
    context = ssl.create_default_context(cafile=str(cluster.private / "ca.pem"))
    for who in (None, ("admin", "admin"), ("service", "x" * 48)):
        nobody = OpenSearch(cluster.urls[NODES[0]], http_auth=who, ssl_context=context)
        with nobody, pytest.raises(AuthenticationException):
            nobody.info()


@pytest.mark.parametrize(
    ("user", "roles"),
    [
        ("admin", {"all_access"}),
        ("dashboards", {"kibana_server"}),
        ("service", {"osmv_searcher", "osmv_searcher_sidecar", "osmv_exporter", "osmv_service"}),
        ("exporter", {"osmv_exporter", "osmv_canary"}),
        ("indexer", {"osmv_writer", "osmv_attach", "osmv_attach_new"}),
    ],
)
def test_who_has_which_role(cluster: SecuredCluster, user: str, roles: set[str]) -> None:
    with cluster.client(user) as client:
        told = client.transport.perform_request("GET", "/_plugins/_security/authinfo")
    assert set(told["roles"]) - {"own_index"} == roles


def test_the_service_answers_whoever_has_the_token(everything: tuple[Caller, Caller], filled: SecuredCluster) -> None:
    service, _ = everything
    for index in ("articles", "articles-old", "articles-live"):
        status, body = service("/search", {"index": index, "query": QUERY, "explain": True})
        assert status == 200, body
        answer = json.loads(body)
        assert answer["hits"][0]["doc_id"] == "terns"
        assert answer["degraded"] == []
        assert len(answer["hits"]) == len(DOCUMENTS)
    assert Caller(filled, service.url)("/search", {"index": "articles", "query": QUERY})[0] == 401
    assert Caller(filled, service.url)("/healthz")[0] == 200
    assert Caller(filled, service.url, "x" * 48)("/fields")[0] == 401


@pytest.mark.parametrize("path", ["/indices", "/fields", "/caller", "/status", "/canaries", "/probe", "/pareto"])
def test_the_console_can_read_all_that_it_shows(everything: tuple[Caller, Caller], path: str) -> None:
    status, body = everything[0](path)
    assert status == 200, body
    assert not json.loads(body).get("errors"), body
    if path == "/fields":
        fields = json.loads(body)["fields"]
        covered = {each["index"]: each["coverage"] for each in fields}
        assert {tuple(each["reranks"]) for each in fields} == {("client",)}, "it has no native plugin"
        assert covered == {"articles": 1.0, "articles-old": 1.0, "articles-live": 1.0}


def test_the_service_may_only_read(cluster: SecuredCluster, filled: SecuredCluster) -> None:
    with cluster.client("service") as client:
        with pytest.raises(AuthorizationException):
            client.index(index="articles", id="new", body={"text": "of a stranger"})
        with pytest.raises(AuthorizationException):
            client.indices.delete(index="articles")
        with pytest.raises(AuthorizationException):
            client.search(index=".opendistro_security")


def test_prometheus_scrapes_both(everything: tuple[Caller, Caller], filled: SecuredCluster, tmp_path: Path) -> None:
    if (program := shutil.which("prometheus")) is None:
        pytest.skip("no Prometheus on the PATH (Debian: apt-get install prometheus)")
    service, exporter = everything
    for _ in range(3):
        assert service("/search", {"index": "articles", "query": QUERY})[0] == 200
    text = filled.here((DOCKER / "monitoring/prometheus.yml").read_text(), "prometheus")
    config = yaml.safe_load(text.replace("15s", "1s"))
    for job, target in zip(config["scrape_configs"], (exporter, service), strict=True):
        job["static_configs"] = [{"targets": [target.url.partition("//")[2]]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        cluster_option
        for cluster_option in services(SECURED)["prometheus"]["command"]
        if "--config" not in cluster_option
    ]
    command = [each.replace("=/prometheus", f"={tmp_path / 'data'}") for each in command]
    command += [f"--config.file={tmp_path / 'prometheus.yml'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (tmp_path / "log").open("wb") as log:
        started = subprocess.Popen([program, *command], stdout=log, stderr=log)
    try:
        asked = Caller(filled, f"http://127.0.0.1:{port}/api/v1")

        def query(expression: str) -> list[dict[str, Any]]:
            status, body = asked(f"/query?query={expression}")
            return json.loads(body)["data"]["result"] if status == 200 else []

        up = until(lambda: len(found := query("up==1")) == 2 and found, (tmp_path / "log").read_text)
        assert {each["metric"]["job"] for each in up} == {"osmv-exporter", "osmv-serve"}
        assert until(lambda: query("osmv_searches_total>0"), "searches")
        assert until(lambda: len(query('osmv_field_covered_documents{job="osmv-exporter"}==3')) == 2, "coverage")
        groups = json.loads(asked("/rules")[1])["data"]["groups"]
        assert len([rule for group in groups for rule in group["rules"]]) > 30
        down = query('osmv_exporter_up{part!="nodes"}==0')
        assert down == []
    finally:
        started.terminate()
        started.wait(30)


def test_passwords_can_be_changed(cluster: SecuredCluster) -> None:
    file = cluster.private / "indexer-password"
    before = file.read_text()
    try:
        file.write_text("another-password-of-the-tests-17\n")
        assert cluster.make_users().returncode == 0
        with cluster.client("indexer") as client:
            assert client.transport.perform_request("GET", "/_plugins/_security/authinfo")["user_name"] == "indexer"
    finally:
        file.write_text(before)
        assert cluster.make_users().returncode == 0


def test_searches_go_on_without_one_of_the_nodes(everything: tuple[Caller, Caller], filled: SecuredCluster) -> None:
    """The first of those that the service knows. The last test: it does not come back."""
    service, _ = everything
    with filled.client("admin", NODES[1]) as admin:
        admin.indices.put_settings(index="articles", body={"index.number_of_replicas": 1})
        until(lambda: admin.cluster.health(index="articles")["status"] == "green", "a second copy of each shard")
        lost = filled.running.pop(NODES[0])
        lost.kill()
        lost.wait(30)
        wait_for_nodes(admin, len(NODES) - 1)
    for _ in range(6):
        status, body = service("/search", {"index": "articles", "query": QUERY})
        assert status == 200, body
        assert json.loads(body)["hits"][0]["doc_id"] == "terns"
