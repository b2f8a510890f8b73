"""Which Maven repository the node's files come from."""

from __future__ import annotations

import os

from opensearch_multivector.errors import MissingDependencyError


def base_url() -> str:
    """`OSMV_MAVEN_URL` where it is set (a mirror), else the Maven Central that jgo knows; no trailing slash."""
    mirror = os.environ.get("OSMV_MAVEN_URL")
    if mirror:
        return mirror.rstrip("/")
    try:
        from jgo.constants import MAVEN_CENTRAL_URL
    except ImportError as error:
        raise MissingDependencyError(
            'the local node is fetched with jgo: pip install "opensearch-multivector[node]"'
        ) from error
    return str(MAVEN_CENTRAL_URL).rstrip("/")
