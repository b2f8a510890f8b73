"""Readers, what a document becomes, the resumable bulk writer."""

from opensearch_multivector.indexing.choices import Choices, choose
from opensearch_multivector.indexing.records import Layout
from opensearch_multivector.indexing.run import Limits, Progress
from opensearch_multivector.indexing.target import existing_spec
from opensearch_multivector.indexing.training_queries import read_queries
from opensearch_multivector.indexing.writer import IndexSummary, index_documents
from opensearch_multivector.plugin.mapping import Bm25Parameters

__all__ = [
    "Bm25Parameters",
    "Choices",
    "IndexSummary",
    "Layout",
    "Limits",
    "Progress",
    "choose",
    "existing_spec",
    "index_documents",
    "read_queries",
]
