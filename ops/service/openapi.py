"""The OpenAPI 3.1 document of the service, made of `schema` and of one table of its routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from opensearch_multivector.ops.service import overview, schema

_REF = "#/components/schemas/{model}"
_FAULTS: Mapping[str, str] = {
    "400": "Not a request of this form, or refused by the cluster.",
    "401": "No valid token.",
    "403": "Not allowed to this token.",
    "404": "No such index or document.",
    "409": "The index lacks what this needs.",
    "413": "The body is too large.",
    "429": "Too many requests: Retry-After says when to come back.",
    "502": "The cluster forbids this to the service, or gives what can't be read.",
    "503": "The cluster does not answer.",
    "504": "Time is up.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and gives; ``operator``: it is for operators alone."""

    path: str
    method: str
    summary: str
    answer: type[BaseModel] | None
    asked: type[BaseModel] | None = None
    operator: bool = False
    open: bool = False
    parameters: tuple[str, ...] = ()


OPERATIONS = (
    Operation("/search", "post", "Search an index.", schema.SearchAnswer, schema.Search),
    Operation(
        "/search/many", "post", "Several searches; each fails by itself.", schema.SearchManyAnswer, schema.SearchMany
    ),
    Operation("/explain", "post", "A document's tokens beside a query's.", schema.ExplainAnswer, schema.Explain),
    Operation("/indices", "get", "What the caller may search.", overview.IndicesAnswer),
    Operation("/fields", "get", "Multi-vector fields.", overview.FieldsAnswer, parameters=("index",)),
    Operation("/caller", "get", "Who the token's holder is, and what they may.", schema.Caller),
    Operation("/status", "get", "The service and the attachments.", overview.StatusAnswer, operator=True),
    Operation("/canaries", "get", "Recall canaries as last checked.", overview.CanariesAnswer, operator=True),
    Operation("/probe", "get", "What the cluster can do.", overview.ProbeAnswer, operator=True),
    Operation("/pareto", "get", "Quality against time.", overview.ParetoAnswer, operator=True),
    Operation("/metrics", "get", "Prometheus' text format.", None, operator=True),
    Operation("/healthz", "get", "Whether the process lives.", None, open=True),
    Operation("/readyz", "get", "Whether the cluster answers it.", None, open=True),
    Operation("/openapi.json", "get", "This document.", None, open=True),
)


def document(needs_token: bool) -> dict[str, Any]:
    """The document, of a service that answers only to tokens or to everybody."""
    models = {each for one in OPERATIONS for each in (one.answer, one.asked) if each} | {schema.FaultAnswer}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, defined = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "osmv serve",
            "version": version("opensearch-multivector"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": defined["$defs"]},
    }
    if needs_token:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def _described(operation: Operation) -> dict[str, Any]:
    words = operation.path.strip("/").replace(".", "/").split("/")
    described: dict[str, Any] = {
        "operationId": operation.method + "".join(word.capitalize() for word in words),
        "summary": operation.summary + (" For operators." if operation.operator else ""),
        "responses": {
            "200": {"description": "The answer."} | ({"content": _json(operation.answer)} if operation.answer else {}),
        },
    }
    if operation.open:
        described["security"] = []
    else:
        described["responses"] |= {
            status: {"description": text, "content": _json(schema.FaultAnswer)} for status, text in _FAULTS.items()
        }
    if operation.asked:
        described["requestBody"] = {"required": True, "content": _json(operation.asked)}
    if operation.parameters:
        described["parameters"] = [
            {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
            for name in operation.parameters
        ]
    return described


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}
