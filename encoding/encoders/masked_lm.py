"""SLIM term weights from any masked language model that transformers can load."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from opensearch_multivector.encoding.encoders import checkpoints
from opensearch_multivector.encoding.encoders.base import Kind, TokenTerms
from opensearch_multivector.encoding.encoders.forms import TextForm
from opensearch_multivector.encoding.encoders.tokens import TextTokenizer, batches, tokenizer_identity
from opensearch_multivector.encoding.encoders.transformer import forward, load_model, load_tokenizer
from opensearch_multivector.errors import InputError

# Logits take tokens x vocabulary floats: 2,048 x 30,522 is 250 MB, the most that is held at a time.
_BATCH_TOKENS = 2048


class MaskedLmTermEncoder:
    """`TermEncoder` over a masked-LM checkpoint: per token the top-k of log(1 + relu(logit)).

    Li et al. 2023 (SLIM), section 3.1. The positions are those of Pyserini's ``SlimQueryEncoder``, for documents too:
    all but the first ([CLS]), with the closing [SEP].
    """

    def __init__(
        self, name: str, folder: Path, k: int = 20, max_length: int | None = None, device: str | None = None
    ) -> None:
        self.name = name
        self._folder = folder
        settings = checkpoints.settings_of(folder, max_length)
        self.max_length = settings.max_length
        self._model, self._device = load_model(folder, "AutoModelForMaskedLM", device)
        self._tokenizer = TextTokenizer(load_tokenizer(folder), TextForm(settings.max_length), settings.pad_id)
        size: int = self._model.config.vocab_size
        if not 1 <= k <= size:
            raise InputError(f"k is {k}: a token keeps between 1 and {size} terms of this model's vocabulary.")
        self._k = k
        terms = {number: term for term, number in self._tokenizer.vocabulary.items()}
        # Checkpoints pad the vocabulary; a padded id can't be a term of any text but needs a name of its own.
        self.vocabulary: Sequence[str] = [terms.get(number, f"[id {number}]") for number in range(size)]

    @cached_property
    def fingerprint(self) -> str:
        """See `Encoder.fingerprint`."""
        return checkpoints.fingerprint(
            checkpoints.weight_files(self._folder),
            {
                "form": "top-k log(1 + relu(logit)), first position dropped",
                "config": checkpoints.read_json(self._folder / "config.json"),
                "tokenizer": tokenizer_identity(self._folder / "tokenizer.json"),
                "max_length": self.max_length,
                "k": self._k,
            },
        )

    def encode_terms(self, texts: Sequence[str], kind: Kind) -> list[TokenTerms]:
        """See `TermEncoder.encode_terms`; queries and documents are encoded alike."""
        torch = checkpoints.require("torch", "torch")
        tokens = self._tokenizer(texts)
        results: dict[int, TokenTerms] = {}
        for batch in batches([len(one.ids) for one in tokens], _BATCH_TOKENS):
            inputs = self._tokenizer.pad([tokens[i] for i in batch])
            logits = forward(self._model, inputs, self._device).logits
            # relu and log are monotone: the largest logits are the largest weights, and only those are transformed.
            top = torch.topk(logits[:, 1:].float(), self._k, dim=2)
            ids = top.indices.cpu().numpy().astype(np.int32)
            weights = torch.log1p(torch.relu(top.values)).cpu().numpy()
            for row, i in enumerate(batch):
                n = len(tokens[i].ids) - 1
                results[i] = TokenTerms(ids=ids[row, :n].copy(), weights=weights[row, :n].copy())
        return [results[i] for i in range(len(texts))]
