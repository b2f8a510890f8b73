"""What a document's source asks for: the text whose vectors it should have, and what is stored beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opensearch_multivector.plugin.attachments import Attachment
from opensearch_multivector.plugin.fields import HASH, FieldSpec, values_at


@dataclass(frozen=True, slots=True)
class Text:
    """What a document asks for: the vectors of its ``text``, ``""`` for none; ``has_fields`` tells an empty from none.

    ``hash``: what `F.hash` ought to be.
    """

    text: str
    has_fields: bool
    hash: str


def text_wanted(spec: FieldSpec, attachment: Attachment, source: dict[str, Any]) -> Text:
    """The text of a document and the hash that belongs to it."""
    text = spec.text_of(source)
    has_fields = any(True for name in attachment.text_fields for _ in values_at(source, name))
    return Text(text, has_fields, attachment.content_hash(text))


def beside(spec: FieldSpec, attachment: Attachment, source: Mapping[str, Any], text: Text) -> bytes:
    """What is stored beside the sub-fields: `F.hash`, and in a sidecar the fields to filter by."""
    filters = attachment.filter_fields if attachment.is_beside else ()  # of a copy there are none
    values = {name: list(values_at(source, name)) for name in filters}
    own = {spec.sub(HASH): text.hash}
    return json.dumps(own | {name: value for name, value in values.items() if value}).encode()


def has_half_a_pair(text: str) -> bool:
    """Whether a text holds half a surrogate pair, which no encoder takes."""
    return any("\ud800" <= letter <= "\udfff" for letter in text) if not text.isascii() else False
