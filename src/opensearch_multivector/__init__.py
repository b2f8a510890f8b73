"""Late-interaction (multi-vector) search inside OpenSearch."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opensearch_multivector.encoding.encoders import load_encoder as load_encoder
    from opensearch_multivector.encoding.encoders import load_term_encoder as load_term_encoder
    from opensearch_multivector.indexing import index_documents as index_documents
    from opensearch_multivector.indexing.enrich import Enricher as Enricher
    from opensearch_multivector.plugin.connection import connect as connect
    from opensearch_multivector.plugin.connection import connect_async as connect_async
    from opensearch_multivector.queries.async_searcher import AsyncSearcher as AsyncSearcher
    from opensearch_multivector.queries.encoded_query import EncodedQuery as EncodedQuery
    from opensearch_multivector.queries.searcher import Searcher as Searcher

__version__ = version("opensearch-multivector")

# Imported at first use, so that whoever wants one room does not wait for the others.
_HOMES = {
    "AsyncSearcher": "queries.async_searcher",
    "Enricher": "indexing.enrich",
    "EncodedQuery": "queries.encoded_query",
    "Searcher": "queries.searcher",
    "connect": "plugin.connection",
    "connect_async": "plugin.connection",
    "index_documents": "indexing",
    "load_encoder": "encoding.encoders",
    "load_term_encoder": "encoding.encoders",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
