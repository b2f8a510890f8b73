"""Queries as Pyserini's `SlimSearcher` makes them, of an index whose documents hold what Pyserini's would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders.base import TokenTerms as QueryTokens
from opensearch_multivector.encoding.sparsify import pyserini_terms
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Slim, TokenTerms
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.pyserini.frequencies import Rareness
from opensearch_multivector.queries.searcher import Searcher

# A weight of 5 is 256 whole numbers.
SCALE = 51.2


def pyserini_queries(
    client: OpenSearch,
    searcher: Searcher,
    queries: Sequence[str | EncodedQuery],
    min_idf: float = 0,
    *,
    rareness: Rareness | None = None,
) -> list[EncodedQuery]:
    """The queries with Pyserini's weights, quantised, its lower bound in them, terms of ``min_idf`` or less left out.

    Searched with first stage `slim` (either bound: both have these weights), rerank `slim` and ``ties="docid"``, and as
    many candidates as hits times (``min_idf`` + 1), they rank as Pyserini does. ``rareness``: one that knows terms from
    before. Raises MismatchError where the index's documents are stored in another form.
    """
    check_as_pyserini(searcher.spec)
    vocabulary = searcher.queries.term_encoder().vocabulary
    encoded = searcher.queries.encode(queries, frozenset({"terms"}))
    rareness = rareness or Rareness(client, searcher.vectors_in, searcher.spec)
    weights = [pyserini_terms(_tokens(query), vocabulary) for query in encoded]
    rareness.ask(term for each in weights for term in each)
    kept = [rareness.above(min_idf, each) for each in weights]
    return [
        replace(query, terms=QueryTerms(each, each, _tokens(query))) for query, each in zip(encoded, kept, strict=True)
    ]


def check_as_pyserini(spec: FieldSpec) -> None:
    """Raise MismatchError where documents are not stored as Pyserini has them."""
    slim, token_terms = spec.need(Slim, "as_pyserini"), spec.find(TokenTerms)
    if slim.scale != SCALE or (token_terms and token_terms.weights != "f32"):
        raise MismatchError(
            "Pyserini's ranking needs documents' weights as Pyserini holds them: index with --sub-field "
            f"slim:scale={SCALE} --sub-field token_terms:weights=f32"
        )


def _tokens(query: EncodedQuery) -> QueryTokens:
    if query.terms is None or query.terms.tokens is None:
        raise InputError("as_pyserini needs the terms of each query token: search with the query's text")
    return query.terms.tokens
