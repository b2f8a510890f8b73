"""The OpenAPI document is valid, and what is answered is as it says."""

from __future__ import annotations

from typing import Any

import pytest
from served import INDEX, OPERATOR, Served

from opensearch_multivector.ops.service import openapi, overview

validator = pytest.importorskip("openapi_spec_validator", reason="openapi-spec-validator (dev) is not installed")


@pytest.mark.parametrize("needs_token", [False, True])
def test_the_document_is_valid(needs_token: bool) -> None:
    document = openapi.document(needs_token)
    validator.validate(document)
    assert ("security" in document) is needs_token
    assert document["paths"].keys() == {operation.path for operation in openapi.OPERATIONS}


@pytest.mark.integration
def test_answers_are_as_the_document_says(service: Served, guarded: Served) -> None:
    from jsonschema import Draft202012Validator

    document = service.get("/openapi.json").json()
    assert guarded.get("/openapi.json").json()["security"] == [{"token": []}]
    parts = [{"text": "bees"}, {"text": "home", "weight": -0.5}]
    search = {"index": INDEX, "parts": parts, "explain": True, "compare": True, "rerank": "client"}
    bodies: dict[str, dict[str, Any]] = {
        "/search": search,
        "/search/many": {"searches": [search, {"index": "none", "query": "a"}]},
        "/explain": {"index": INDEX, "query": "bees", "doc_id": "d00"},
    }
    for operation in openapi.OPERATIONS:
        described = document["paths"][operation.path][operation.method]
        answer = service.client.request(operation.method, operation.path, json=bodies.get(operation.path))
        assert answer.status_code == 200, answer.text
        if operation.answer is None:
            continue
        reference = described["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator(document | reference).validate(answer.json())
        if operation.asked is not None:
            asked = described["requestBody"]["content"]["application/json"]["schema"]
            Draft202012Validator(document | asked).validate(bodies[operation.path])
            wrong = service.client.request(operation.method, operation.path, json={"index": 1})
            assert wrong.status_code == 400
            fault = described["responses"]["400"]["content"]["application/json"]["schema"]
            Draft202012Validator(document | fault).validate(wrong.json())
    ids = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.integration
def test_what_operators_look_at(guarded: Served) -> None:
    checks = guarded.get("/probe", OPERATOR).json()
    assert checks["ready"] is True
    assert {"OpenSearch", "k-NN"} <= {check["name"] for check in checks["checks"]}
    status = guarded.get("/status", OPERATOR).json()
    assert (status["capacity"], status["queue"], status["waiting"], status["errors"]) == (8, 64, 0, [])
    assert guarded.get("/pareto", OPERATOR).json() == {"points": []}
    assert guarded.get("/readyz").json() == {"status": "ready"}


def test_the_front_of_a_plot_is_what_nothing_beats() -> None:
    from opensearch_multivector.ops.service.catalogue import with_front

    def point(name: str, value: float, latency: float, measure: str = "nDCG@10") -> overview.ParetoPoint:
        return overview.ParetoPoint(
            name=name, collection="c", measure=measure, value=value, latency_ms=latency, index_bytes=None, front=False
        )

    points = [
        point("slow and good", 0.9, 100),
        point("fast", 0.7, 10),
        point("slower", 0.7, 11),
        point("worse", 0.6, 100),
        point("same", 0.9, 100),
        point("other", 0.1, 900, "R@100"),
    ]
    front = {each.name for each in with_front(points) if each.front}
    assert front == {"slow and good", "fast", "same", "other"}
