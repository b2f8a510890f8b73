"""docker/compose.single.yaml in containers: node, service, exporter and a real Prometheus, in which an alert fires."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from contained import Containers, name_of
from opensearchpy import OpenSearch
from osmv_here import osmv
from waiting import until

from opensearch_multivector.plugin.node.configure import free_port

ROOT = Path(__file__).parents[2]
# Grafana and Dashboards are images of a registry.
SERVICES = ("opensearch", "service", "exporter", "prometheus")
DOCUMENTS = {
    "bees": "Bees find their way home by the sun and by landmarks.",
    "terns": "Arctic terns migrate from pole to pole and back.",
    "eels": "Eels cross an ocean to spawn where they hatched.",
}


@dataclass
class Composed:
    """Where each service answers, and the token of `osmv serve`."""

    opensearch: str
    service: str
    prometheus: str
    token: str

    def search(self, query: str, first_stage: str = "dense") -> dict[str, Any]:
        asked = {"index": "articles", "query": query, "first_stage": first_stage, "rerank": "client"}
        body = json.dumps(asked).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        with urlopen(Request(f"{self.service}/search", body, headers), timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def ask(self, path: str) -> Any:
        with urlopen(f"{self.prometheus}/api/v1/{path}", timeout=30) as answer:
            return json.load(answer)["data"]


@pytest.fixture(scope="module")
def composed(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """Brought up by compose itself, each service once those that it needs are healthy."""
    command = next((each for each in (["docker", "compose"], ["docker-compose"]) if answers(each)), None)
    if command is None:
        pytest.skip("neither docker compose nor docker-compose is here")
    folder, project = tmp_path_factory.mktemp("compose"), name_of("compose")
    for part in ("docker", "ops/dashboards/prometheus"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("private", "__pycache__"))
    subprocess.run([folder / "docker/prepare"], check=True, capture_output=True)
    settings = folder / "docker/monitoring/prometheus.single.yml"
    settings.write_text(settings.read_text().replace("15s", "2s"))
    ports = {name: free_port() for name in ("OPENSEARCH", "SERVICE", "PROMETHEUS")}
    environment = os.environ | {f"OSMV_{name}_PORT": str(port) for name, port in ports.items()}
    environment |= {
        "OSMV_OPENSEARCH_IMAGE": containers.images.opensearch(),
        "OSMV_SERVICE_IMAGE": containers.images.service(),
        "OSMV_PROMETHEUS_IMAGE": containers.images.prometheus(),
        "OSMV_OPENSEARCH_JAVA_OPTS": "-Xms600m -Xmx600m -XX:TieredStopAtLevel=1",
    }
    compose = [*command, "-p", project, "-f", str(folder / "docker/compose.single.yaml")]
    began = time.monotonic()
    try:
        with health_checks(containers, project):
            done = subprocess.run(
                [*compose, "up", "-d", "--no-build", *SERVICES], env=environment, capture_output=True, text=True
            )
        assert done.returncode == 0, done.stderr[-3000:]
        containers.figures["compose up, four services, s"] = f"{time.monotonic() - began:.0f}"
        urls = {name.lower(): f"http://127.0.0.1:{port}" for name, port in ports.items()}
        yield Composed(**urls, token=(folder / "docker/private/api-token").read_text().strip())
    finally:
        subprocess.run([*compose, "down", "--volumes"], env=environment, capture_output=True)


def answers(command: list[str]) -> bool:
    there = shutil.which(command[0]) is not None
    return there and subprocess.run([*command, "version"], capture_output=True).returncode == 0


@contextmanager
def health_checks(containers: Containers, project: str) -> Iterator[None]:
    """While compose waits: Podman without systemd runs no health check unless it is told to, every five seconds."""
    engine, stop = containers.engine, threading.Event()

    def check() -> None:
        while not stop.wait(5):
            for name in engine.run("ps", "--format", "{{.Names}}", check=False).split():
                if name.startswith(project):
                    engine.run("healthcheck", "run", name, check=False)

    checking = threading.Thread(target=check)
    if engine.command == "podman":
        checking.start()
    try:
        yield
    finally:
        stop.set()
        if engine.command == "podman":
            checking.join()


@pytest.fixture(scope="module")
def filled(composed: Composed, tmp_path_factory: pytest.TempPathFactory) -> Composed:
    """From outside, by the command; one document's vectors are damaged."""
    folder = tmp_path_factory.mktemp("documents")
    lines = (json.dumps({"id": name, "text": text}) for name, text in DOCUMENTS.items())
    (folder / "docs.jsonl").write_text("\n".join(lines))
    options = ("--index", "articles", "--encoder", "all-MiniLM-L6-v2-int8", "--terms", "none")
    done = osmv("index", "docs.jsonl", "--url", composed.opensearch, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    text, damaged = DOCUMENTS["eels"], base64.b64encode(b"no blob").decode()
    with OpenSearch(composed.opensearch) as client:
        body = {"text": text, "mv.text": text, "mv.vectors": damaged}
        client.index(index="articles", id="eels", body=body, params={"refresh": "true"})
    return composed


def test_a_search_through_the_service(filled: Composed) -> None:
    found = filled.search("birds that travel far")
    assert found["hits"][0]["doc_id"] == "terns"
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{filled.service}/fields", timeout=30)


def test_prometheus_scrapes_both(filled: Composed) -> None:
    def up() -> set[str]:
        found = filled.ask("query?query=up==1")["result"]
        return {each["metric"]["job"] for each in found}

    assert until(lambda: len(jobs := up()) == 2 and jobs, "two jobs are up") == {"osmv-exporter", "osmv-serve"}
    covered = quote('osmv_field_covered_documents{index="articles"}==3')
    assert until(lambda: filled.ask(f"query?query={covered}")["result"], "three documents are covered")


@pytest.mark.parametrize(
    "command",
    [("check", "rules", "alerts.yml"), ("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")],
    ids=" ".join,
)
def test_the_rules_by_the_promtool_beside_prometheus(command: tuple[str, ...], containers: Containers) -> None:
    rules = f"{ROOT / 'ops/dashboards/prometheus'}:/rules:ro"
    where = (
        "--rm",
        "--name",
        name_of("promtool"),
        "--volume",
        rules,
        "--workdir",
        "/rules",
        "--entrypoint",
        "promtool",
    )
    assert "SUCCESS" in containers.engine.run("run", *where, containers.images.prometheus(), *command)


def test_an_alert_fires(filled: Composed) -> None:
    def firing() -> list[dict[str, Any]]:
        assert filled.search("who crosses an ocean", "bm25")["skipped"]
        alerts = filled.ask("alerts")["alerts"]
        return [each for each in alerts if each["labels"]["alertname"] == "OsmvVectorsDamaged"]

    (alert,) = until(firing, "OsmvVectorsDamaged")
    assert alert["state"] == "firing"
    assert alert["labels"]["index"] == "articles"


def test_every_rule_can_be_evaluated(filled: Composed) -> None:
    def healths() -> set[str]:
        groups = filled.ask("rules")["groups"]
        return {rule["health"] for group in groups for rule in group["rules"]}

    assert until(lambda: "unknown" not in (found := healths()) and found, "all rules were evaluated") == {"ok"}
