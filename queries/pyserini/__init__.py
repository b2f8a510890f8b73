"""Searchers that are called as Pyserini's are, over an index of OpenSearch.

``from pyserini.search.lucene import LuceneSearcher`` becomes ``from opensearch_multivector.queries.pyserini import
BM25Searcher``; what is done with the hits stays as it is (docs/pyserini.md).
"""

from __future__ import annotations

from opensearch_multivector.queries.pyserini.documents import Document
from opensearch_multivector.queries.pyserini.searchers import (
    BM25Searcher,
    DenseSearcher,
    ImpactSearcher,
    MultiVectorSearcher,
    SlimSearcher,
)
from opensearch_multivector.queries.pyserini.slim_queries import pyserini_queries

__all__ = [
    "BM25Searcher",
    "DenseSearcher",
    "Document",
    "ImpactSearcher",
    "MultiVectorSearcher",
    "SlimSearcher",
    "pyserini_queries",
]
