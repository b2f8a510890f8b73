"""Late-interaction (multi-vector) search inside OpenSearch."""

from importlib.metadata import version

__version__ = version("opensearch-multivector")
