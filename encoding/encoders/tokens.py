"""Text to token ids with character offsets, and texts to batches; the same for every way to run a model."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import IntArray
from opensearch_multivector.encoding.encoders.checkpoints import read_json, require
from opensearch_multivector.encoding.encoders.forms import TextForm, Tokens
from opensearch_multivector.errors import InputError

# Padded tokens per batch: enough to fill two to sixteen cores, small enough that attention stays within caches and RAM.
BATCH_TOKENS = 8192
# A prefix of this many characters per allowed token is tokenised first: a 10 MB text costs no more than a page.
_CHARS_PER_TOKEN = 32
# JSON can carry halves of surrogate pairs, which no tokenizer takes; one character for one keeps the offsets.
_SURROGATES = re.compile("[\ud800-\udfff]")


def load_tokenizer_file(path: Path) -> Any:
    """A ``tokenizer.json`` as a ``tokenizers.Tokenizer``. Raises InputError where it is absent or broken."""
    if not path.is_file():
        raise InputError(f"the model has no tokenizer: {path} is missing.")
    tokenizers = require("tokenizers", "onnx")
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise InputError(f"{path} can't be read as a tokenizer ({error}).") from error


class TextTokenizer:
    """A fast tokenizer for texts of one form: prompt, at most ``max_length`` tokens, then `TextForm.apply`."""

    def __init__(self, tokenizer: Any, form: TextForm, pad_id: int) -> None:
        """``tokenizer``: a ``tokenizers.Tokenizer``; copied, since each carries its own truncation."""
        self._tokenizer = copy.deepcopy(tokenizer)
        self._form = form
        self._pad_id = pad_id
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(form.tokenizer_length)

    @property
    def vocabulary(self) -> dict[str, int]:
        """Token to id, added tokens included."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        return vocabulary

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenise the texts, in their order; each has one token at least, if only the padding one."""
        limit = self._form.max_length * _CHARS_PER_TOKEN
        texts = [self._form.prompt + _SURROGATES.sub("\ufffd", text) for text in texts]
        blanks = [len(text) - len(text.lstrip()) if self._form.strip else 0 for text in texts]
        texts = [text.strip() for text in texts] if self._form.strip else texts
        prefixes = [_prefix(text, limit) for text in texts]
        encodings = self._tokenizer.encode_batch(prefixes)
        return [
            self._form.apply(self._whole(text, encoding, len(prefix), shift=blank - len(self._form.prompt)))
            for text, encoding, prefix, blank in zip(texts, encodings, prefixes, blanks, strict=True)
        ]

    def _whole(self, text: str, encoding: Any, used: int, shift: int) -> Tokens:
        # Only where blanks or huge words fill the prefix does it hold fewer tokens than allowed.
        while used < len(text) and not encoding.overflowing:
            prefix = _prefix(text, 4 * used)
            encoding, used = self._tokenizer.encode(prefix), len(prefix)
        if not encoding.ids:
            empty = np.zeros(1, dtype=np.int64)
            return Tokens(
                ids=empty + self._pad_id,
                types=empty,
                offsets=np.zeros((1, 2), np.int32),
                attended=np.ones(1, dtype=bool),
                kept=np.ones(1, dtype=bool),
                truncated=False,
            )
        offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
        special = np.array(encoding.special_tokens_mask, dtype=bool)
        offsets = np.maximum(offsets + np.int32(shift), 0)
        offsets[special | (offsets[:, 1] == 0)] = 0
        return Tokens(
            ids=np.array(encoding.ids, dtype=np.int64),
            types=np.array(encoding.type_ids, dtype=np.int64),
            offsets=offsets,
            attended=np.ones(len(offsets), dtype=bool),
            kept=np.ones(len(offsets), dtype=bool),
            truncated=bool(encoding.overflowing),
        )

    def offsets(self, text: str) -> IntArray:
        """Character spans of the tokens whose vectors count, as `Encoder.offsets` gives them."""
        tokens = self([text])[0]
        return tokens.offsets[tokens.kept]

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
            inputs["attention_mask"][row, :n] = one.attended
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
