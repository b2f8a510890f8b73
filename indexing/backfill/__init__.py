"""Fills an attached field with what is made of the documents' texts, and keeps it so as they change."""

from opensearch_multivector.indexing.backfill.by_time import By
from opensearch_multivector.indexing.backfill.rounds import BackfillSummary, Filler
from opensearch_multivector.indexing.backfill.status import Status, status_of
from opensearch_multivector.indexing.backfill.worker import Pace

__all__ = ["BackfillSummary", "By", "Filler", "Pace", "Status", "status_of"]
