"""What documents hold that the options leave unused, by the names that Pyserini's collections give it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from numbers import Real
from typing import Any

from opensearch_multivector.indexing.readers import Entry, Reader
from opensearch_multivector.indexing.records import Layout

_VECTOR, _TEXT = "vector", "contents"


def hint(reader: Reader, entry: Entry, layout: Layout) -> str | None:
    """A sentence on what a document has beside what the layout names; None where there is nothing to say."""
    try:
        value = json.loads(reader.show(entry))
    except ValueError:
        return None
    return _hint(value, layout) if isinstance(value, dict) else None


def _hint(value: Mapping[str, Any], layout: Layout) -> str | None:
    found = []
    if isinstance(value.get(_TEXT), str) and not any(name in value for name in layout.text_fields):
        found.append(f"texts in {_TEXT!r}, for --text-field {_TEXT}")
    vector = value.get(_VECTOR)
    if vector and _VECTOR not in (layout.terms_field, layout.pooled_field, layout.vectors_field):
        if isinstance(vector, dict) and all(isinstance(weight, Real) for weight in vector.values()):
            found.append(f"term weights in {_VECTOR!r}, for --terms-field {_VECTOR} (else each term becomes a field)")
        if isinstance(vector, list) and all(isinstance(number, Real) for number in vector):
            found.append(
                f"a pooled vector in {_VECTOR!r}, for --pooled-field {_VECTOR} --sub-field dense:dim={len(vector)}"
            )
    return f"these documents, as Pyserini's, have {' and '.join(found)}" if found else None
