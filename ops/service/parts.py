"""A query of several parts, with weights.

    score(d) = sum over parts p of  weight_p * MaxSim(p, d)

MaxSim of a part whose vectors are stretched by a positive number is stretched by it, and MaxSim of parts put after each
other is the sum of theirs. So all parts of positive weight are one query: their vectors, each times its weight, in one
array. A negative weight can't be had so (the largest of negated products is the least product negated): those parts
are a second query, whose score is taken from the first's.

In the first stage, pooled vectors are added up with their weights, negative ones too, and the words of all texts of
positive weight are searched together.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opensearch_multivector.encoding.encoders import checkpoints
from opensearch_multivector.encoding.encoders.base import Encoded, FloatArray
from opensearch_multivector.encoding.encoders.pooling import mean_pooled
from opensearch_multivector.errors import InputError
from opensearch_multivector.ops.service.encoders import SharedEncoder
from opensearch_multivector.ops.service.schema import Part, Span

_FORMATS = ("PNG", "JPEG", "WEBP")
_MOST_PIXELS = 16_000_000


@dataclass(frozen=True, slots=True)
class EncodedPart:
    """A part as vectors; ``text``: None for an image."""

    text: str | None
    weight: float
    encoded: Encoded

    @property
    def count(self) -> int:
        """How many vectors it has."""
        return len(self.encoded.vectors)

    def token(self, position: int) -> tuple[str, Span | None]:
        """A token's surface in the text, and where it is; its position where it is in none."""
        offsets = self.encoded.offsets
        if self.text is not None and offsets is not None:
            start, end = offsets[position].tolist()
            if end > start:
                return self.text[start:end], (start, end)
        return f"[{position}]", None


def encode_parts(parts: Sequence[Part], encoder: SharedEncoder) -> list[EncodedPart]:
    """The parts, in their order. Raises InputError on an image that is none, or that the encoder doesn't take."""
    texts = [part.text for part in parts if part.text is not None]
    if not all(text.strip() for text in texts):
        raise InputError("a part's text is empty")
    images = [_image(number, part.image) for number, part in enumerate(parts, 1) if part.image is not None]
    encoded_texts = iter(encoder.encode(texts, "query") if texts else ())
    encoded_images = iter(encoder.images(images) if images else ())
    return [
        EncodedPart(part.text, part.weight, next(encoded_images if part.text is None else encoded_texts))
        for part in parts
    ]


def places_of(parts: Sequence[EncodedPart]) -> Iterator[tuple[int, EncodedPart, int]]:
    """Of each of the `stacked` vectors: its part's number, the part, and its position there."""
    return ((number, part, i) for number, part in enumerate(parts) for i in range(part.count))


def stacked(parts: Sequence[EncodedPart], weighted: bool = True) -> FloatArray:
    """The parts' vectors in one array, each times the amount of its weight where that is wanted."""
    return np.concatenate([part.encoded.vectors * np.float32(abs(part.weight) if weighted else 1) for part in parts])


def pooled(parts: Sequence[EncodedPart]) -> FloatArray:
    """The weighted sum of pooled vectors, of norm 1; only of those liked where all together cancel each other out."""
    total = _sum(parts)
    if not np.linalg.norm(total) > 1e-6:
        total = _sum([part for part in parts if part.weight > 0])
    norm = np.linalg.norm(total)
    result: FloatArray = (total / norm if norm > 0 else total).astype(np.float32)
    return result


def _sum(parts: Sequence[EncodedPart]) -> FloatArray:
    vectors = [
        np.float32(part.weight)
        * (part.encoded.pooled if part.encoded.pooled is not None else mean_pooled(part.encoded.vectors))
        for part in parts
    ]
    total: FloatArray = np.sum(vectors, axis=0)
    return total


def liked_text(parts: Sequence[EncodedPart]) -> str | None:
    """The texts of positive weight after each other, None where there are only images."""
    return " ".join(part.text for part in parts if part.text is not None and part.weight > 0) or None


def _image(number: int, encoded: str) -> Any:
    """A picture of RGB, its size looked at before it is unpacked."""
    library = checkpoints.require("PIL.Image", "images")
    wrong = InputError(f"part {number} is no whole PNG, JPEG or WebP image in base64")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise wrong from None
    try:
        with library.open(io.BytesIO(data), formats=_FORMATS) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise InputError(f"the image in part {number} has more than {_MOST_PIXELS:,} pixels: make it smaller")
            return opened.convert("RGB")
    except InputError:
        raise
    except Exception:  # what a decoder makes of bytes that are no image has no common name
        raise wrong from None
