"""Rerankers: one file per reranker, one table here.

To add one: write its file and add it to `RERANKERS`; it is then known to `Searcher`, `osmv search` and `osmv eval`.
"""

from __future__ import annotations

from opensearch_multivector.errors import InputError
from opensearch_multivector.expressions import build
from opensearch_multivector.queries.rerankers.base import MAX_RESPONSE_BYTES, Key, Reranked, Reranker, find, key_of
from opensearch_multivector.queries.rerankers.bit import Bit
from opensearch_multivector.queries.rerankers.client import Client
from opensearch_multivector.queries.rerankers.painless import Painless
from opensearch_multivector.queries.rerankers.slim import Slim

__all__ = ["MAX_RESPONSE_BYTES", "RERANKERS", "Key", "Reranked", "Reranker", "find", "key_of", "parse_rerank"]

RERANKERS: dict[str, type[Reranker]] = {cls.name: cls for cls in (Bit, Client, Painless, Slim)}


def parse_rerank(expression: str | None) -> tuple[Reranker, ...]:
    """``"client"``, or a chain in which each hands on its best: ``"bit:keep=100>client"``. None: nothing reranks.

    Raises InputError on an unknown or impossible rerank, and on one that hands on more than it gets.
    """
    if expression is None:
        return ()
    chain = tuple(build(part, RERANKERS, "rerank") for part in expression.split(">"))
    kept = [step.keep for step in chain if step.keep]
    if kept != sorted(kept, reverse=True):
        raise InputError(f"rerank {expression!r}: a later step can't keep more than the one before it hands on")
    return chain
