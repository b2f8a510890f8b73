"""What a late-interaction model does to a text's tokens: marker, mask augmentation, skiplist. Tokens in, tokens out.

A query becomes ``[CLS] [Q] q1 ... qn [SEP] [MASK] ... [MASK]``, a document ``[CLS] [D] d1 ... dm [SEP]`` without the
vectors of punctuation (Khattab & Zaharia 2020, ColBERT, section 3.2). The masks give vectors, but by default no token
attends to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import IntArray


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text's tokens as a model takes them.

    ``ids``, ``types``: (n,) int64. ``offsets``: (n, 2) int32 as in `Encoded`. ``attended``: (n,) bool, the attention
    mask. ``kept``: (n,) bool, the tokens whose vectors count. ``truncated``: as in `Encoded`.
    """

    ids: NDArray[np.int64]
    types: NDArray[np.int64]
    offsets: IntArray
    attended: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    truncated: bool


@dataclass(frozen=True, slots=True)
class TextForm:
    """How texts of one kind, queries or documents, become a model's tokens.

    ``max_length``: most tokens, special ones and marker included. ``prompt``: put before the text. ``strip``: blanks at
    both ends go first. ``marker``: id of the token put behind the first one ([CLS]), or None. ``expand_to``: shorter
    texts are filled up to so many tokens with ``expand_id``; 0: never. ``expand_multiples``: longer ones are filled up
    to the next multiple of ``expand_to``. ``attend_expansion``: the other tokens attend to the fillings. ``skiplist``:
    ids of tokens which the model reads but whose vectors are dropped.
    """

    max_length: int
    prompt: str = ""
    strip: bool = False
    marker: int | None = None
    expand_to: int = 0
    expand_id: int = 0
    expand_multiples: bool = False
    attend_expansion: bool = False
    skiplist: tuple[int, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TextForm:
        """The inverse of ``dataclasses.asdict``, also after a way through JSON. Raises TypeError on unknown keys."""
        return cls(**{**values, "skiplist": tuple(values.get("skiplist", ()))})

    @property
    def tokenizer_length(self) -> int:
        """Most tokens to take from the tokenizer: one less where a marker is put in."""
        return self.max_length - (self.marker is not None)

    def apply(self, tokens: Tokens) -> Tokens:
        """A tokenizer's tokens with marker and fillings, and without the skiplist's among the kept ones.

        A text of skipped tokens alone keeps them all: without vectors nothing could ever find it.
        """
        if self.marker is not None:
            tokens = _with_marker(tokens, self.marker)
        kept = ~np.isin(tokens.ids, self.skiplist)
        tokens = replace(tokens, kept=kept) if kept.any() else tokens
        return self._expanded(tokens) if self.expand_to else tokens

    def _expanded(self, tokens: Tokens) -> Tokens:
        n = len(tokens.ids)
        target = self.expand_to
        if self.expand_multiples:
            target *= max(1, -(-n // self.expand_to))
        missing = max(0, target - n)
        return Tokens(
            ids=np.pad(tokens.ids, (0, missing), constant_values=self.expand_id),
            types=np.pad(tokens.types, (0, missing)),
            offsets=np.pad(tokens.offsets, ((0, missing), (0, 0))),
            attended=np.pad(tokens.attended, (0, missing), constant_values=self.attend_expansion),
            kept=np.pad(tokens.kept, (0, missing), constant_values=True),
            truncated=tokens.truncated,
        )


def _with_marker(tokens: Tokens, marker: int) -> Tokens:
    return Tokens(
        ids=np.insert(tokens.ids, 1, marker),
        types=np.insert(tokens.types, 1, 0),
        offsets=np.insert(tokens.offsets, 1, 0, axis=0),
        attended=np.insert(tokens.attended, 1, True),
        kept=np.insert(tokens.kept, 1, True),
        truncated=tokens.truncated,
    )
