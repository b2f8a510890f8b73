"""Rerankers: one file per reranker, one table here.

To add one: write its file and add it to `RERANKERS`; it is then known to `Searcher`, `osmv search` and `osmv eval`.
"""

from __future__ import annotations

from dataclasses import replace

from opensearch_multivector.errors import InputError
from opensearch_multivector.expressions import build
from opensearch_multivector.queries.rerankers.base import MAX_RESPONSE_BYTES, Key, Reranked, Reranker, find, key_of
from opensearch_multivector.queries.rerankers.bit import Bit
from opensearch_multivector.queries.rerankers.client import Client
from opensearch_multivector.queries.rerankers.native import Native
from opensearch_multivector.queries.rerankers.painless import Painless
from opensearch_multivector.queries.rerankers.slim import Slim

__all__ = [
    "AUTO",
    "MAX_RESPONSE_BYTES",
    "RERANKERS",
    "Key",
    "Reranked",
    "Reranker",
    "find",
    "in_one_request",
    "key_of",
    "parse_rerank",
    "without_auto",
]

RERANKERS: dict[str, type[Reranker]] = {cls.name: cls for cls in (Bit, Client, Native, Painless, Slim)}


# `native` where OpenSearch has the plugin, else `client`.
AUTO = "auto"


def parse_rerank(expression: str | None, native: bool = False) -> tuple[Reranker, ...]:
    """``"client"``, or a chain in which each hands on its best: ``"bit:keep=100>client"``. None: nothing reranks.

    ``native``: what ``"auto"`` is. Raises InputError on an unknown or impossible rerank, and on one that hands on more
    than it gets.
    """
    if expression is None:
        return ()
    auto = Native.name if native else Client.name
    parts = (auto if part.strip() == AUTO else part for part in expression.split(">"))
    chain = tuple(build(part, RERANKERS, "rerank") for part in parts)
    kept = [step.keep for step in chain if step.keep]
    if kept != sorted(kept, reverse=True):
        raise InputError(f"rerank {expression!r}: a later step can't keep more than the one before it hands on")
    return chain


def without_auto(expression: str | None) -> str | None:
    """The rerank where there is nothing that "auto" could read: less its steps that are "auto"."""
    steps = [step for step in (expression or "").split(">") if step and step.strip() != AUTO]
    return ">".join(steps) or None


def in_one_request(chain: tuple[Reranker, ...]) -> tuple[Reranker, ...]:
    """The chain with `bit` before `native` done by the native plugin, too, which saves a request and fetching bits."""
    match chain:
        case (Bit(keep=bits), Native(bits=0) as native, *rest) if bits:
            return (replace(native, bits=bits), *rest)
    return chain
