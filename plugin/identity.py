"""What answers at a cluster's address: which engine, of which version, and whether this package works with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch, exceptions

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.cluster_errors import cluster_errors

# The releases that the project's tests run against lie between these.
OLDEST, NEWEST = (2, 19), (3, 6)
WANTED = "opensearch-multivector works with OpenSearch 2.19 and newer"
OPENSEARCH, SERVERLESS = "OpenSearch", "Amazon OpenSearch Serverless"

_SERVERLESS_HOST = ".aoss.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Identity:
    """``version`` is None where the service or the user's role hides it."""

    engine: str
    version: str | None

    @property
    def release(self) -> tuple[int, int] | None:
        """Major and minor version."""
        numbers = re.match(r"(\d+)\.(\d+)", self.version or "")
        return (int(numbers[1]), int(numbers[2])) if numbers else None

    @property
    def misfit(self) -> str | None:
        """Why this package can't work with it, as one sentence; None where it can, as far as is known."""
        if self.engine not in (OPENSEARCH, SERVERLESS):
            return f"this is {' '.join(filter(None, (self.engine, self.version)))}, not OpenSearch: {WANTED}."
        if self.release is not None and self.release < OLDEST:
            return f"this is OpenSearch {self.version}, which is too old: {WANTED}, so upgrade the cluster first."
        return None


def identify(client: OpenSearch) -> Identity:
    """Ask what answers. Raises ClusterError where nobody does, or nothing like a search engine."""
    with cluster_errors():
        try:
            answer = client.info()
        except exceptions.AuthorizationException as error:
            if "no permissions for [" not in str(error.info):
                raise
            return Identity(OPENSEARCH, None)  # the security plugin's words
        except exceptions.NotFoundError:
            if str(client.transport.hosts[0].get("host", "")).endswith(_SERVERLESS_HOST):
                return Identity(SERVERLESS, None)
            answer = None
    version = answer.get("version") if isinstance(answer, dict) else None
    if not isinstance(version, dict):
        raise ClusterError(
            "what answers there is no OpenSearch: check the URL, with any path that a proxy wants before the cluster's."
        )
    number, tagline = version.get("number"), str(answer.get("tagline", ""))
    if version.get("distribution") == "opensearch":
        return Identity(OPENSEARCH, number)
    if tagline.startswith("The OpenSearch Project"):
        # compatibility.override_main_response_version: it calls itself 7.10.2 and leaves out the distribution.
        return Identity(OPENSEARCH, _version_of_nodes(client))
    if version.get("distribution") or not number:
        return Identity(str(version.get("distribution") or "something else"), number)
    return Identity("Elasticsearch", number)


def misfit(client: OpenSearch) -> str | None:
    """Why this package can't work with what answers; None where it can, or where nobody says what it is."""
    try:
        return identify(client).misfit
    except ClusterError as error:
        return str(error) if error.__cause__ is None else None


def _version_of_nodes(client: OpenSearch) -> str | None:
    """The oldest of the nodes' versions; None where the user may not ask."""
    try:
        answer: Any = client.transport.perform_request("GET", "/_nodes", params={"filter_path": "nodes.*.version"})
    except exceptions.TransportError:
        return None
    versions = [str(node.get("version")) for node in answer.get("nodes", {}).values()]
    return min(versions, key=lambda version: [int(part) for part in re.findall(r"\d+", version)], default=None)
