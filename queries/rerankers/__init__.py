"""Rerankers: one file per reranker, one table here.

To add one: write its file and add it to `RERANKERS`; it is then known to `Searcher`, `osmv search` and `osmv eval`.
"""

from __future__ import annotations

from opensearch_multivector.queries.rerankers.base import MAX_RESPONSE_BYTES, Key, Reranked, Reranker, find, key_of
from opensearch_multivector.queries.rerankers.client import CLIENT
from opensearch_multivector.queries.rerankers.painless import PAINLESS

__all__ = ["MAX_RESPONSE_BYTES", "RERANKERS", "Key", "Reranked", "Reranker", "find", "key_of"]

RERANKERS: dict[str, Reranker] = {reranker.name: reranker for reranker in (CLIENT, PAINLESS)}
