"""Which OpenSearch the tests run on, known before any of them starts: OSMV_TEST_VERSION, else the default.

With --node URL that cluster is taken as it is, and OSMV_TEST_VERSION says of which version it is.
"""

from __future__ import annotations

import os

import pytest

from opensearch_multivector.plugin.carried import carried, release_numbers
from opensearch_multivector.plugin.node.distribution import DEFAULT_VERSION

VERSION = os.environ.get("OSMV_TEST_VERSION") or DEFAULT_VERSION
RELEASE = release_numbers(VERSION)[:2]
NATIVE = (plugin := carried()) is not None and plugin.fits(VERSION)
SINCE_3_3 = RELEASE >= (3, 3)

needs_native = pytest.mark.skipif(
    not NATIVE,
    reason=f"the native plugin is not for OpenSearch {VERSION}" if plugin else "it is not built (make plugin)",
)
needs_painless = pytest.mark.skipif(not SINCE_3_3, reason=f"lateInteractionScore came with 3.3: this is {VERSION}")
needs_seismic = pytest.mark.skipif(not SINCE_3_3, reason=f"sparse_vector came with 3.3: this is {VERSION}")
