"""Clients that take no answer for OpenSearch's that is none: an empty one, or somebody else's JSON.

opensearch-py reads a body of no bytes as an empty text, whatever was asked: what a gateway sends whose node has gone. A
gateway may also say in JSON, with status 200, what has nothing to do with the question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opensearchpy import Transport
from opensearchpy.exceptions import SerializationError

# Parameters of a search that is answered of every shard or not at all.
EVERY_SHARD = {"allow_partial_search_results": "false"}
# What stands in the answer to a method and the API that a path names, `""`: an index or the cluster itself.
_PARTS = {
    "POST _search": "hits",
    "GET _msearch": "responses",
    "POST _msearch": "responses",
    "POST _mget": "docs",
    "POST _bulk": "items",
    "POST _count": "count",
    "POST _refresh": "_shards",
    "GET _nodes": "nodes",
    "GET _stats": "_shards",
    "GET _doc": "found",
    "PUT _doc": "result",
    "POST _doc": "result",
    "DELETE _doc": "result",
    "PUT _create": "result",
    "POST _update": "result",
    "POST _aliases": "acknowledged",
    "PUT _mapping": "acknowledged",
    "PUT _settings": "acknowledged",
    "PUT ": "acknowledged",
    "DELETE ": "acknowledged",
}
# The same in what is said of each index.
_PARTS_OF_EACH = {"GET ": "mappings", "GET _mapping": "mappings", "GET _settings": "settings", "GET _alias": "aliases"}


def whole(method: str, url: str, params: Mapping[str, Any] | None) -> Callable[[Any], Any]:
    """A check for the answer to that request, which gives it back. It raises SerializationError.

    HEAD has no answer, `_cat` tables may have no rows, and of what is left out by `filter_path` nothing is known.
    """
    asked_for_all = "filter_path" not in (params or {})
    refusal_is_fine = "ignore" in (params or {})
    api = next((part for part in url.split("/") if part.startswith("_")), "")
    # `_search` has others below it, of points in time and scrolls.
    asked = f"{method} {api}" if url != "/" and (api != "_search" or url.endswith(api)) else ""

    def check(answer: Any) -> Any:
        if answer == "" and method != "HEAD" and not url.startswith("/_cat"):
            raise SerializationError(f"the answer to {method} {url} is empty")
        refused = refusal_is_fine and isinstance(answer, dict) and "error" in answer
        if asked_for_all and not refused and not _fits(asked, answer):
            raise SerializationError(f"the answer to {method} {url} is not OpenSearch's")
        return answer

    return check


def _fits(asked: str, answer: Any) -> bool:
    if part := _PARTS.get(asked):
        return isinstance(answer, dict) and part in answer
    if part := _PARTS_OF_EACH.get(asked):
        return isinstance(answer, dict) and all(isinstance(each, dict) and part in each for each in answer.values())
    return True


class WholeAnswers(Transport):  # type: ignore[misc]
    """Of the sync client."""

    def perform_request(self, method: str, url: str, params: Any = None, *args: Any, **options: Any) -> Any:
        """As opensearch-py's own."""
        check = whole(method, url, params)
        return check(super().perform_request(method, url, params, *args, **options))


def whole_answers_async() -> type:
    """Of the async client; needs the extra ``async``."""
    from opensearchpy import AsyncTransport

    class AsyncWholeAnswers(AsyncTransport):  # type: ignore[misc]
        async def perform_request(self, method: str, url: str, params: Any = None, *args: Any, **options: Any) -> Any:
            check = whole(method, url, params)
            return check(await super().perform_request(method, url, params, *args, **options))

    return AsyncWholeAnswers
