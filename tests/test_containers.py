"""The compose file: what can be checked of it without a Docker engine."""

from __future__ import annotations

from pathlib import Path

import yaml

from opensearch_multivector.plugin.node.distribution import DEFAULT_VERSION

COMPOSE = Path(__file__).parent.parent / "docker" / "compose.yaml"


def test_compose_brings_up_the_version_that_is_tested_on_loopback_only() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    assert services["opensearch"]["image"] == f"opensearchproject/opensearch:{DEFAULT_VERSION}"
    assert services["dashboards"]["image"] == f"opensearchproject/opensearch-dashboards:{DEFAULT_VERSION}"
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert services["dashboards"]["depends_on"]["opensearch"]["condition"] == "service_healthy"
