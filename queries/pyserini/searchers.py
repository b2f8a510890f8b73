"""One searcher for each of Pyserini's, and one for multi-vector search, which Pyserini has none for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.mapping import Bm25Parameters
from opensearch_multivector.plugin.sub_fields import Dense, Slim
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.pyserini.base import PyseriniSearcher
from opensearch_multivector.queries.pyserini.frequencies import Rareness
from opensearch_multivector.queries.pyserini.query_encoders import Given, TokenCounts, opened
from opensearch_multivector.queries.pyserini.slim_queries import check_as_pyserini, pyserini_queries
from opensearch_multivector.queries.request import DEFAULT_FIRST_STAGE, DEFAULT_RERANK, DEFAULT_WINDOW
from opensearch_multivector.queries.results import Hit

TextQuery: TypeAlias = str | EncodedQuery
DenseQuery: TypeAlias = str | EncodedQuery | Sequence[float] | FloatArray


class BM25Searcher(PyseriniSearcher[TextQuery]):
    """In place of ``LuceneSearcher``. Pyserini's own k1 and b are .9 and .4: give them when indexing, or `set_bm25`."""

    def set_bm25(self, k1: float = 0.9, b: float = 0.4) -> None:
        """Search with these parameters from now on. They are the index's: whoever else searches it has them, too.

        Where they are others than it has, the index is closed for the moment that this takes. Raises InputError on
        impossible ones, MismatchError where the field was attached to an index of others, who use it, and ClusterError.
        """
        wanted = Bm25Parameters(k1, b)
        index = self._searcher.index
        with cluster_errors():
            settings = self._client.indices.get_settings(index=index, params={"flat_settings": "true"})
            if all(_bm25(each["settings"]) == wanted for each in settings.values()):
                return
            if not self._searcher.spec.has_text_copy:
                raise MismatchError(
                    f"index {index!r} is in use by others (a field was attached to it), and would be closed for a "
                    "moment: set its similarity yourself when that does no harm"
                )
            similarity = {"type": "BM25", "k1": wanted.k1, "b": wanted.b}
            self._client.indices.close(index=index)
            try:
                self._client.indices.put_settings(index=index, body={"index": {"similarity": {"default": similarity}}})
            finally:
                self._client.indices.open(index=index)

    def _options(self, k: int) -> dict[str, Any]:
        return {"first_stage": "bm25"}

    def _encoded(self, queries: Sequence[TextQuery]) -> Sequence[TextQuery]:
        return queries


def _bm25(settings: Mapping[str, str]) -> Bm25Parameters | None:
    """What an index has, or None where it is scored by something else."""
    name = "index.similarity.default"
    if settings.get(f"{name}.type", "BM25") != "BM25":
        return None
    given = {key: float(settings[f"{name}.{key}"]) for key in ("k1", "b") if f"{name}.{key}" in settings}
    return Bm25Parameters(**given)


class ImpactSearcher(PyseriniSearcher[TextQuery]):
    """In place of ``LuceneImpactSearcher``: the dot product of a query's weights and the documents', in `F.slim`.

    ``query_encoder``: an object with ``encode(text)`` to weights by term, a file of ready queries, or None: how often
    each word is in the text. ``min_idf``: terms whose idf, ln(documents / documents with the term), is not above it are
    left out; with 0, as in Pyserini, those in all documents are. A query may bring its weights (`EncodedQuery`).
    """

    def __init__(
        self,
        client: OpenSearch,
        index: str,
        *,
        query_encoder: Given | None = None,
        min_idf: float = 0,
        **options: Any,
    ) -> None:
        super().__init__(client, index, **options)
        self._searcher.spec.need(Slim, "impact search")
        self._encoder = opened(query_encoder) if query_encoder is not None else TokenCounts()
        self._min_idf = min_idf
        self._rareness = Rareness(client, self._searcher.vectors_in, self._searcher.spec)

    def _options(self, k: int) -> dict[str, Any]:
        return {"first_stage": "slim"}

    def _encoded(self, queries: Sequence[TextQuery]) -> list[EncodedQuery]:
        ready = [self._terms(query) for query in queries]
        self._rareness.ask(term for terms in ready for term in terms.upper)
        kept = [self._rareness.above(self._min_idf, terms.upper) for terms in ready]
        return [EncodedQuery(terms=QueryTerms(weights, weights)) for weights in kept]

    def _terms(self, query: TextQuery) -> QueryTerms:
        if isinstance(query, str):
            return QueryTerms.ready(self._encoder.encode(query))
        return query.terms or self._terms(query.text or "")


class DenseSearcher(PyseriniSearcher[DenseQuery]):
    """In place of ``FaissSearcher``: k-NN over `F.dense`, whose score is the inner product.

    ``query_encoder``: an object with ``encode(text)`` to a vector, a file of ready queries, or None: the index's own
    encoder. A query may be a vector itself.
    """

    def __init__(self, client: OpenSearch, index: str, *, query_encoder: Given | None = None, **options: Any) -> None:
        super().__init__(client, index, **options)
        self._searcher.spec.need(Dense, "dense search")
        self._encoder = opened(query_encoder) if query_encoder is not None else None

    def _options(self, k: int) -> dict[str, Any]:
        return {"first_stage": "dense"}

    def _encoded(self, queries: Sequence[DenseQuery]) -> list[TextQuery]:
        return [self._query(query) for query in queries]

    def _query(self, query: DenseQuery) -> TextQuery:
        if isinstance(query, EncodedQuery) or (isinstance(query, str) and self._encoder is None):
            return query
        vector = self._encoder.encode(query) if isinstance(query, str) and self._encoder else query
        try:
            pooled = np.asarray(vector, np.float32).reshape(-1)
        except (TypeError, ValueError):
            raise InputError(f"the query encoder gives no vector of numbers for {query!r}") from None
        return EncodedQuery(pooled=pooled)

    def _hits(self, queries: Sequence[DenseQuery], k: int) -> list[list[Hit]]:
        found = super()._hits(queries, k)
        return [[replace(hit, score=_inner_product(hit.score)) for hit in hits] for hits in found]


def _inner_product(score: float) -> float:
    """Of k-NN's score, which is never negative: 1 + p where p is not, else 1 / (1 - p)."""
    return score - 1 if score >= 1 else 1 - 1 / score


class SlimSearcher(PyseriniSearcher[TextQuery]):
    """In place of Pyserini's ``SlimSearcher``: both bounds over `F.slim`, then SLIM's exact score over `F.token_terms`.

    ``min_idf``: k times (``min_idf`` + 1) candidates are scored exactly, and terms whose idf is not above it find none
    (0: all do). ``as_pyserini``: Pyserini's ranking, to the document: its quantisation, its lower bound, which is not
    the paper's, and no term that all documents have. That takes an index made with ``slim:scale=51.2`` and
    ``token_terms:weights=f32``: MismatchError otherwise.
    """

    def __init__(
        self, client: OpenSearch, index: str, *, as_pyserini: bool = False, min_idf: int = 0, **options: Any
    ) -> None:
        super().__init__(client, index, **options)
        if as_pyserini:
            check_as_pyserini(self._searcher.spec)
        self._as_pyserini, self._min_idf = as_pyserini, min_idf
        self._rareness = Rareness(client, self._searcher.vectors_in, self._searcher.spec)

    def _options(self, k: int) -> dict[str, Any]:
        return {"first_stage": "slim:bound=fused", "rerank": "slim", "window_size": k * (self._min_idf + 1)}

    def _encoded(self, queries: Sequence[TextQuery]) -> Sequence[TextQuery]:
        if self._as_pyserini:
            return pyserini_queries(self._client, self._searcher, queries, self._min_idf, rareness=self._rareness)
        if not self._min_idf:
            return queries
        encoded = self._searcher.queries.encode(queries, frozenset({"terms"}))
        return [self._rare(query) for query in encoded]

    def _rare(self, query: EncodedQuery) -> EncodedQuery:
        assert query.terms is not None
        upper, fused = (self._rareness.above(self._min_idf, w) for w in (query.terms.upper, query.terms.fused))
        return replace(query, terms=QueryTerms(upper, fused, query.terms.tokens))


class MultiVectorSearcher(PyseriniSearcher[TextQuery]):
    """Late interaction, which Pyserini has no searcher for: any first stage and rerank of `Searcher`.

    ``window_size``: candidates that are reranked, at least ``k``.
    """

    def __init__(
        self,
        client: OpenSearch,
        index: str,
        *,
        first_stage: str = DEFAULT_FIRST_STAGE,
        rerank: str | None = DEFAULT_RERANK,
        window_size: int = DEFAULT_WINDOW,
        **options: Any,
    ) -> None:
        super().__init__(client, index, **options)
        self._first_stage, self._rerank, self._window_size = first_stage, rerank, window_size

    def _options(self, k: int) -> dict[str, Any]:
        window_size = max(k, self._window_size)
        return {"first_stage": self._first_stage, "rerank": self._rerank, "window_size": window_size}

    def _encoded(self, queries: Sequence[TextQuery]) -> Sequence[TextQuery]:
        return queries
