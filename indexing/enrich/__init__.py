"""For writers: documents enriched on their way into an index, so that nobody has to fill them afterwards."""

from opensearch_multivector.indexing.enrich.enricher import Enricher, Stored

__all__ = ["Enricher", "Stored"]
