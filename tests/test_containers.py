"""The compose file: what can be checked of it without a Docker engine."""

from __future__ import annotations

from pathlib import Path

import yaml

from opensearch_multivector.plugin.node.distribution import DEFAULT_VERSION

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "docker" / "compose.yaml"


def test_compose_brings_up_the_version_that_is_tested_on_loopback_only() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    build = services["opensearch"]["build"]
    dockerfile = (COMPOSE.parent / build["context"] / build["dockerfile"]).read_text()
    assert f"ARG BASE=opensearchproject/opensearch:{DEFAULT_VERSION}\n" in dockerfile
    assert "source=plugin/native," in dockerfile  # where `make plugin` puts the zip
    assert f"<opensearch.version>{DEFAULT_VERSION}</opensearch.version>" in (ROOT / "plugin/java/pom.xml").read_text()
    assert services["dashboards"]["image"] == f"opensearchproject/opensearch-dashboards:{DEFAULT_VERSION}"
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert services["dashboards"]["depends_on"]["opensearch"]["condition"] == "service_healthy"
