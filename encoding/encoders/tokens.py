"""Text to token ids with character offsets, and texts to batches; the same for every way to run a model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import IntArray
from opensearch_multivector.encoding.encoders.checkpoints import read_json, require
from opensearch_multivector.errors import InputError

# Padded tokens per batch: enough to fill two to sixteen cores, small enough that attention stays within caches and RAM.
BATCH_TOKENS = 8192
# A prefix of this many characters per allowed token is tokenised first: a 10 MB text costs no more than a page.
_CHARS_PER_TOKEN = 32
# JSON can carry halves of surrogate pairs, which no tokenizer takes; one character for one keeps the offsets.
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text's tokens. ``ids``, ``types``: (n,) int64; ``offsets``: (n, 2) int32 as in `Encoded`."""

    ids: NDArray[np.int64]
    types: NDArray[np.int64]
    offsets: IntArray
    truncated: bool


class TextTokenizer:
    """A fast tokenizer with one truncation rule: the first ``max_length`` tokens, special ones included."""

    def __init__(self, tokenizer: Any, max_length: int, pad_id: int) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._pad_id = pad_id
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)

    @classmethod
    def from_file(cls, path: Path, max_length: int, pad_id: int) -> TextTokenizer:
        """Load a ``tokenizer.json``. Raises InputError where it is absent or broken."""
        if not path.is_file():
            raise InputError(f"the model has no tokenizer: {path} is missing.")
        tokenizers = require("tokenizers", "onnx")
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exceptions
            raise InputError(f"{path} can't be read as a tokenizer ({error}).") from error
        return cls(tokenizer, max_length, pad_id)

    @property
    def vocabulary(self) -> dict[str, int]:
        """Token to id, added tokens included."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        return vocabulary

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenise the texts, in their order; each has one token at least, if only the padding one."""
        limit = self._max_length * _CHARS_PER_TOKEN
        texts = [_SURROGATES.sub("\ufffd", text) for text in texts]
        prefixes = [_prefix(text, limit) for text in texts]
        encodings = self._tokenizer.encode_batch(prefixes)
        return [
            self._whole(text, encoding, len(prefix))
            for text, encoding, prefix in zip(texts, encodings, prefixes, strict=True)
        ]

    def _whole(self, text: str, encoding: Any, used: int) -> Tokens:
        # Only where blanks or huge words fill the prefix does it hold fewer tokens than allowed.
        while used < len(text) and not encoding.overflowing:
            prefix = _prefix(text, 4 * used)
            encoding, used = self._tokenizer.encode(prefix), len(prefix)
        if not encoding.ids:
            empty = np.zeros(1, dtype=np.int64)
            return Tokens(ids=empty + self._pad_id, types=empty, offsets=np.zeros((1, 2), np.int32), truncated=False)
        offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
        offsets[np.array(encoding.special_tokens_mask, dtype=bool)] = 0
        return Tokens(
            ids=np.array(encoding.ids, dtype=np.int64),
            types=np.array(encoding.type_ids, dtype=np.int64),
            offsets=offsets,
            truncated=bool(encoding.overflowing),
        )

    def pad(self, tokens: Sequence[Tokens]) -> dict[str, NDArray[np.int64]]:
        """A model's inputs, each (batch, longest) int64: ``input_ids``, ``attention_mask``, ``token_type_ids``."""
        longest = max(len(one.ids) for one in tokens)
        shape = (len(tokens), longest)
        inputs = {
            "input_ids": np.full(shape, self._pad_id, dtype=np.int64),
            "attention_mask": np.zeros(shape, dtype=np.int64),
            "token_type_ids": np.zeros(shape, dtype=np.int64),
        }
        for row, one in enumerate(tokens):
            n = len(one.ids)
            inputs["input_ids"][row, :n] = one.ids
            inputs["attention_mask"][row, :n] = 1
            inputs["token_type_ids"][row, :n] = one.types
        return inputs


def _prefix(text: str, limit: int) -> str:
    """At least ``limit`` characters, ending where a word ends so that no token differs from the whole text's."""
    if len(text) <= limit:
        return text
    end = next((at for at in range(limit, min(len(text), 2 * limit)) if text[at].isspace()), len(text))
    return text[:end]


def tokenizer_identity(path: Path) -> dict[str, Any]:
    """What of a ``tokenizer.json`` decides the tokens: all but truncation and padding, which are set here."""
    return {key: value for key, value in read_json(path).items() if key not in ("truncation", "padding")}


def batches(lengths: Sequence[int], max_tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Indices of texts of similar length, longest first, at most ``max_tokens`` padded tokens a batch.

    Longest first, so that running out of memory shows at once; a longer single text makes a batch of its own.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > max_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
