"""Clients whose errors say when to come back: `retry_after`, in seconds, from the header Retry-After of the answer.

OpenSearch itself sends none; gateways before it do. opensearch-py shows its errors no header: the connection notes it.
"""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from opensearchpy.exceptions import TransportError

# Of the last answer in this thread, or task.
_SEEN: ContextVar[str | None] = ContextVar("retry_after", default=None)


def noting_retry_after(connection_class: type) -> type:
    """The same connection, of the sync or the async client."""

    class Noting(connection_class):  # type: ignore[misc]
        def get_response_headers(self, response: Any) -> Any:
            """Asked for by the sync client before it raises an error."""
            _SEEN.set(response.headers.get("retry-after"))
            return super().get_response_headers(response)

        async def _create_aiohttp_session(self) -> Any:
            """The async client asks nobody."""
            from aiohttp import TraceConfig

            await super()._create_aiohttp_session()
            trace = TraceConfig()
            trace.on_request_end.append(_note)
            trace.freeze()
            self.session.trace_configs.append(trace)

        def _raise_error(self, *args: Any, **options: Any) -> None:
            try:
                super()._raise_error(*args, **options)
            except TransportError as error:
                error.retry_after = seconds(_SEEN.get())
                raise

    return Noting


async def _note(_: Any, __: Any, ended: Any) -> None:
    _SEEN.set(ended.response.headers.get("retry-after"))


def seconds(header: str | None) -> float | None:
    """Seconds from now on, of a number of them or a date; None where it is neither."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
