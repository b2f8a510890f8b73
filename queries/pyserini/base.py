"""What all searchers of this package share: called as Pyserini's are, with hits in Anserini's order."""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.connection import POOL_SIZE, cluster_errors, connect
from opensearch_multivector.plugin.fields import DEFAULT_FIELD
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.pyserini.documents import Document
from opensearch_multivector.queries.results import Hit
from opensearch_multivector.queries.searcher import Searcher

# Queries that one thread takes at a time: the responses to one request.
_BATCH = 16

Query = TypeVar("Query")


class PyseriniSearcher(ABC, Generic[Query]):
    """Searches one multi-vector field of an index. Equal scores are ordered by docid, at the last place, too.

    ``encoder``, ``term_encoder``: the index's own, where they are loaded already. Raises as `Searcher`.
    """

    def __init__(
        self,
        client: OpenSearch,
        index: str,
        *,
        field: str = DEFAULT_FIELD,
        encoder: Encoder | None = None,
        term_encoder: TermEncoder | None = None,
    ) -> None:
        self._client = client
        self._opened: OpenSearch | None = None
        self._searcher = Searcher(client, index, field=field, encoder=encoder, term_encoder=term_encoder)

    @classmethod
    def from_index(
        cls, index: str, url: str | None = None, *, client: OpenSearch | None = None, **options: Any
    ) -> Self:
        """A searcher of that index on the cluster at ``url``, found as `connect` does, or of a ``client``.

        Options are those of the class. Raises as `connect` and the class.
        """
        if client is not None:
            return cls(client, index, **options)
        opened = connect(url)
        try:
            made = cls(opened, index, **options)
        except BaseException:
            opened.close()
            raise
        made._opened = opened
        return made

    @property
    def num_docs(self) -> int:
        """How many documents the index has."""
        with cluster_errors():
            return int(self._client.count(index=self._searcher.index)["count"])

    def search(self, q: Query, k: int = 10) -> list[Hit]:
        """The ``k`` best, each with `docid` and `score`."""
        (hits,) = self._hits([q], k)
        return hits

    def batch_search(
        self, queries: Sequence[Query], qids: Sequence[str], k: int = 10, threads: int = 1
    ) -> dict[str, list[Hit]]:
        """`search` for each query, by its id. Requests go out from ``threads`` threads, the queries of 16 in each."""
        if len(queries) != len(qids):
            raise InputError(f"there are {len(queries)} queries and {len(qids)} ids: each query needs one")
        parts = [queries[first : first + _BATCH] for first in range(0, len(queries), _BATCH)]
        with _uncollected(), ThreadPoolExecutor(max(1, min(threads, POOL_SIZE))) as pool:
            # The first part alone: encoders load at their first use.
            first = [self._hits(part, k) for part in parts[:1]]
            rest = pool.map(lambda part: self._hits(part, k), parts[1:])
            return dict(zip(qids, chain(*first, *rest), strict=True))

    def doc(self, docid: str) -> Document | None:
        """The stored document, or None where there is none. Lucene's own numbers (an int) are not known here."""
        with cluster_errors():
            body = {"query": {"ids": {"values": [str(docid)]}}, "size": 1}
            found = self._client.search(index=self._searcher.index, body=body)["hits"]["hits"]
        if not found:
            return None
        source = found[0].get("_source", {})
        return Document(found[0]["_id"], source, self._searcher.spec.text_of(source))

    def close(self) -> None:
        """Close the connection, where it was opened here."""
        if self._opened is not None:
            self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hits(self, queries: Sequence[Query], k: int) -> list[list[Hit]]:
        usual = {"rerank": None, "size": k, "window_size": k, "source": False, "ties": "docid"}
        found = self._searcher.search_many(self._encoded(queries), **(usual | self._options(k)))
        return [result.hits for result in found]

    @abstractmethod
    def _options(self, k: int) -> dict[str, Any]:
        """How the best ``k`` are searched, as `Searcher` takes it; what is left out reranks nothing."""

    @abstractmethod
    def _encoded(self, queries: Sequence[Query]) -> Sequence[str | EncodedQuery]:
        """The queries as `Searcher` takes them."""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Hits by the hundred thousand, none in a cycle: looking for cycles among them takes as long as all else here."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
