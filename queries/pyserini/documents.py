"""A stored document under the names of Pyserini's `Document`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class Document:
    """What ``searcher.doc(docid)`` gives. ``contents``: the text that was indexed."""

    def __init__(self, docid: str, source: Mapping[str, Any], contents: str) -> None:
        self._docid, self._source, self._contents = docid, source, contents

    def docid(self) -> str:
        """The document's id."""
        return self._docid

    def id(self) -> str:
        """The document's id."""
        return self._docid

    def contents(self) -> str:
        """The text that was indexed, fields joined by a blank."""
        return self._contents

    def raw(self) -> str:
        """The stored fields as JSON, with the id."""
        own_id = {} if {"id", "_id"} & self._source.keys() else {"id": self._docid}
        return json.dumps(own_id | dict(self._source), ensure_ascii=False)

    def get(self, field: str) -> str | None:
        """A stored field as text, or None where the document has no such field."""
        value = self._source.get(field)
        return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
