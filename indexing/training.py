"""What has to be learnt from a sample of the documents before the first one can be indexed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.indexing.readers import Reader
from opensearch_multivector.plugin.fields import FieldSpec


def trained(
    client: OpenSearch,
    spec: FieldSpec,
    reader: Reader,
    encoder: Encoder | None,
    *,
    message: Callable[[str], None],
    stop: threading.Event,
) -> FieldSpec:
    """The description with every artifact that it needs trained, stored in the cluster and loaded."""
    return spec
