"""`F.bits`: the token vectors as a blob of codec `bit`."""

from __future__ import annotations

from collections.abc import Sequence

import pybase64

from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.indexing.sub_fields.base import Material
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Bits


def values(sub_field: Bits, spec: FieldSpec, documents: Sequence[Material]) -> list[str | None]:
    """See `Values`. Raises InputError on vectors that the codec can't hold."""
    return [f'"{pybase64.b64encode_as_string(encode_blob(document.vectors, "bit"))}"' for document in documents]
