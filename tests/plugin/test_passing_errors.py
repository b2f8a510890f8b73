from __future__ import annotations

from typing import Any

import pytest
from opensearchpy.exceptions import ConnectionError as OpenSearchConnectionError
from opensearchpy.exceptions import TransportError

from opensearch_multivector.plugin.passing_errors import may_pass

# As a node answers that asks for another's shards, which has just been killed.
LOST = {"type": "node_not_connected_exception", "reason": "[node-1][127.0.0.1:35915] Node not connected"}


def answer(cause: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"root_cause": [cause], "type": "search_phase_execution_exception"}, "status": 500}


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy(status: int) -> None:
    assert may_pass(TransportError(status, "busy", {}))


def test_a_lost_node() -> None:
    assert may_pass(TransportError(500, "search_phase_execution_exception", answer(LOST)))


@pytest.mark.parametrize(
    "error",
    [
        TransportError(500, "search_phase_execution_exception", answer({"type": "illegal_argument_exception"})),
        TransportError(500, "<html>", None),
        TransportError(400, "parsing_exception", answer(LOST)),
        OpenSearchConnectionError("N/A", "refused", OSError()),
    ],
)
def test_what_stays(error: TransportError) -> None:
    assert not may_pass(error)
