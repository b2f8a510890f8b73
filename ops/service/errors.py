"""What goes wrong, as an HTTP status, a code for programs and a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opensearchpy.exceptions import TransportError
from pydantic import ValidationError

from opensearch_multivector.errors import (
    BlobError,
    BudgetError,
    BusyError,
    ClusterError,
    InputError,
    MismatchError,
    MissingDependencyError,
    OsmvError,
    visible,
)

# What OpenSearch answers to a request that is the caller's fault, and what to do with it.
_CALLERS_FAULT = {400: (400, "refused"), 404: (404, "not_found"), 413: (413, "too_large")}
_SHOWN_MISTAKES = 3


@dataclass
class RefusalError(Exception):
    """An answer that is an error. ``detail``: what only an operator is shown instead of ``message``."""

    status: int
    code: str
    message: str
    detail: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal_of(error: OsmvError) -> RefusalError:
    """The answer to an error that this project raises on purpose."""
    message = str(error)
    match error:
        case InputError():
            return RefusalError(400, "bad_request", message)
        case MismatchError():
            return RefusalError(409, "mismatch", message)
        case BusyError():
            return RefusalError(429, "busy", "too many searches wait for their turn: try later", message, _after(1))
        case BudgetError():
            return RefusalError(504, "late", message)
        case ClusterError():
            return _refusal_of_cluster(error, message)
        case MissingDependencyError():
            return RefusalError(501, "not_installed", "the service lacks a package that this needs", message)
        case BlobError():
            return RefusalError(502, "damaged", message)
    return RefusalError(503, "unavailable", "this can't be answered now", message)


def _refusal_of_cluster(error: ClusterError, message: str) -> RefusalError:
    cause = error.__cause__
    status = cause.status_code if isinstance(cause, TransportError) and isinstance(cause.status_code, int) else None
    if status in _CALLERS_FAULT:
        return RefusalError(*_CALLERS_FAULT[status], message)
    if status == 429:
        return RefusalError(503, "busy", "the cluster is too busy: try later", message, _after(2))
    if status in (401, 403):
        return RefusalError(502, "forbidden", "the cluster forbids this to the service", message)
    return RefusalError(503, "unavailable", "the cluster does not answer as it should: try later", message, _after(2))


def refusal_of_validation(error: ValidationError) -> RefusalError:
    """The answer to a body that is none of `schema`: where, and what is wrong; nothing of what it holds."""
    told = [f"{'.'.join(map(str, each['loc'])) or 'the body'}: {each['msg']}" for each in error.errors()]
    more = f"; and {len(told) - _SHOWN_MISTAKES} more" if len(told) > _SHOWN_MISTAKES else ""
    return RefusalError(400, "bad_request", visible("; ".join(told[:_SHOWN_MISTAKES]))[:1000] + more)


def _after(seconds: int) -> Mapping[str, str]:
    return {"Retry-After": str(seconds)}
