"""What every request passes, whatever becomes of it: an id, a caller, a rate, headers, a line in the log."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opensearch_multivector.errors import OsmvError
from opensearch_multivector.ops.service import schema
from opensearch_multivector.ops.service.auth import Caller, Door
from opensearch_multivector.ops.service.errors import RefusalError, refusal_of
from opensearch_multivector.ops.service.limits import Rates
from opensearch_multivector.ops.service.metrics import ServiceMetrics
from opensearch_multivector.ops.service.timeline import Timeline

ACCESS = logging.getLogger("osmv.access")
_LOG = logging.getLogger("osmv.service")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)
_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


@dataclass(slots=True)
class Passage:
    """A request's way through the service, in ``scope["osmv"]``; ``route``: a bounded name for logs and metrics."""

    request_id: str
    timeline: Timeline = field(default_factory=Timeline)
    caller: Caller | None = None
    route: str = "other"
    noted: dict[str, Any] = field(default_factory=dict)


class Front:
    """``routes``: by path, whether it is open to everybody; all others ask for a caller."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        door: Door,
        rates: Rates,
        metrics: ServiceMetrics,
        routes: Mapping[str, bool],
        files: Mapping[str, Any],
    ) -> None:
        self._app = app
        self._door = door
        self._rates = rates
        self._metrics = metrics
        self._routes = routes
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked_id = headers.get("x-request-id", "")
        passage = Passage(asked_id if _REQUEST_ID.fullmatch(asked_id) else secrets.token_hex(8))
        scope["osmv"] = passage
        sent = {"status": 0, "bytes": 0}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent["status"] = message["status"]
                told = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    told[name] = value
                told["X-Request-ID"] = passage.request_id
                told.setdefault("Cache-Control", "no-store")
            elif message["type"] == "http.response.body":
                sent["bytes"] += len(message.get("body", b""))
            await send(message)

        began = time.perf_counter()
        with self._metrics.in_flight():
            try:
                self._let_in(scope, headers, passage)
                await self._app(scope, receive, sending)
            except RefusalError as refusal:
                await self._refuse(refusal, passage, scope, receive, sending)
            except OsmvError as error:
                await self._refuse(refusal_of(error), passage, scope, receive, sending)
            except Exception:
                if sent["status"]:
                    raise
                _LOG.exception("request %s failed", passage.request_id)
                broken = RefusalError(500, "broken", "the service failed; its log says why, under this request's id")
                await self._refuse(broken, passage, scope, receive, sending)
            finally:
                seconds = time.perf_counter() - began
                self._metrics.answered(passage.route, sent["status"], seconds)
                _log(scope, passage, sent, seconds)

    def _let_in(self, scope: Scope, headers: Headers, passage: Passage) -> None:
        """Note who calls, and raise RefusalError where they may not."""
        path = scope["path"]
        known = path in self._routes
        passage.route = path if known else "console" if path.removeprefix("/") in self._files else "other"
        remote = scope["client"][0] if scope.get("client") else "?"
        # Without tokens the only guard is that nobody else reaches this machine's own address; a page on the web does
        # where it has its own name lead here.
        if not self._door.needs_token and not _LOOPBACK.fullmatch(headers.get("host", "")):
            raise RefusalError(421, "wrong_host", "without tokens this service answers as localhost alone")
        if not known or self._routes[path]:
            return
        try:
            passage.caller = self._door.caller(headers.get("authorization"))
        except RefusalError:
            self._rates.take(f"nobody {remote}")
            raise
        self._rates.take(passage.caller.name if self._door.needs_token else remote)

    async def _refuse(
        self, refusal: RefusalError, passage: Passage, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._metrics.refused(refusal.code)
        passage.noted["error"] = refusal.code
        if refusal.detail is not None and refusal.status >= 500:
            passage.noted["detail"] = refusal.detail
        response = fault_response(refusal, passage)
        await response(scope, receive, send)


def fault_of(refusal: RefusalError, passage: Passage) -> schema.FaultAnswer:
    """What is told of it: all of it to operators."""
    operator = passage.caller is not None and passage.caller.operator
    message = refusal.detail if operator and refusal.detail else refusal.message
    return schema.FaultAnswer(error=schema.Fault(code=refusal.code, message=message, request_id=passage.request_id))


def fault_response(refusal: RefusalError, passage: Passage) -> Response:
    """The same as an answer."""
    body = fault_of(refusal, passage).model_dump_json()
    return Response(body, refusal.status, dict(refusal.headers), media_type="application/json")


def _log(scope: Scope, passage: Passage, sent: Mapping[str, int], seconds: float) -> None:
    """One line of JSON. No query, no token, no header."""
    if not ACCESS.isEnabledFor(logging.INFO):
        return
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "request_id": passage.request_id,
        "remote": scope["client"][0] if scope.get("client") else None,
        "caller": passage.caller.name if passage.caller else None,
        "method": scope["method"][:16],
        "route": passage.route,
        "status": sent["status"],
        "bytes": sent["bytes"],
        "ms": round(seconds * 1e3, 1),
        **passage.noted,
    }
    ACCESS.info(json.dumps(line))
