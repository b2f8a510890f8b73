"""Clients that take no empty answer for one.

opensearch-py reads a body of no bytes as an empty text, whatever was asked: what a gateway sends whose node has gone.
"""

from __future__ import annotations

from typing import Any

from opensearchpy import Transport
from opensearchpy.exceptions import SerializationError


def whole(method: str, url: str, answer: Any) -> Any:
    """The answer. Raises SerializationError where it is empty; HEAD has none, and `_cat` tables may have no rows."""
    if answer == "" and method != "HEAD" and not url.startswith("/_cat"):
        raise SerializationError(f"the answer to {method} {url} is empty")
    return answer


class WholeAnswers(Transport):  # type: ignore[misc]
    """Of the sync client."""

    def perform_request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
        """As opensearch-py's own."""
        return whole(method, url, super().perform_request(method, url, *args, **options))


def whole_answers_async() -> type:
    """Of the async client; needs the extra ``async``."""
    from opensearchpy import AsyncTransport

    class AsyncWholeAnswers(AsyncTransport):  # type: ignore[misc]
        async def perform_request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
            return whole(method, url, await super().perform_request(method, url, *args, **options))

    return AsyncWholeAnswers
