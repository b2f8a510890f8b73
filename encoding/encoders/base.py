"""What every encoder gives: one contract for transformers, ONNX and vectors brought ready-made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int32]
Kind: TypeAlias = Literal["query", "document"]
# Tokens per query; None: as the checkpoint says; "dynamic": longer ones are filled up to the next multiple of that.
QueryLength: TypeAlias = int | Literal["dynamic"] | None


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text as vectors.

    ``vectors``: (n_tokens, dim) float32, each row of L2 norm 1, special tokens, markers and masks included where the
    model scores them, without the tokens that it does not score (a document's punctuation in ColBERT).
    ``pooled``: (dim,) float32 of L2 norm 1, or None where the encoder has no pooled vector.
    ``offsets``: (n_tokens, 2) int32, character spans [start, end) in the text, (0, 0) for special tokens,
    markers, masks and an image's patches; or None.
    ``truncated``: the text was longer than the encoder's ``max_length`` and was cut.
    """

    vectors: FloatArray
    pooled: FloatArray | None
    offsets: IntArray | None = None
    truncated: bool = False


class Encoder(Protocol):
    """Texts to token vectors. Deterministic: the same text gives the same vectors whatever else is in the batch
    (to within 1e-5: padding changes the order of float additions).
    """

    @property
    def name(self) -> str:
        """What `load_encoder` was given; stored in the index's ``_meta`` so that a searcher can load the same."""

    @property
    def fingerprint(self) -> str:
        """Hash of the weights, tokenizer and settings that decide the vectors (first 16 hex digits of a SHA-256)."""

    @property
    def dim(self) -> int:
        """Dimension of a token vector and of the pooled vector."""

    @property
    def max_length(self) -> int:
        """Most tokens per text, special tokens included; what is beyond is cut and reported as ``truncated``."""

    def encode(self, texts: Sequence[str], kind: Kind) -> list[Encoded]:
        """Encode the texts, in their order."""

    def offsets(self, text: str, kind: Kind) -> IntArray:
        """Character spans of the tokens that `encode` would give for this text, without running the model."""


@runtime_checkable
class ImageEncoder(Encoder, Protocol):
    """An encoder whose documents are images: texts are queries only."""

    def encode_images(self, images: Sequence[Any]) -> list[Encoded]:
        """Encode images, in their order: paths, or ``PIL.Image.Image``. Raises InputError on what is no image."""


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """SLIM's sparsified tokens of one text: for each token its top-k vocabulary terms.

    ``ids``: (n_tokens, k) int32 vocabulary ids. ``weights``: (n_tokens, k) float32, log(1 + relu(logit)), rows in
    falling order; 0 where a token has fewer than k terms of positive weight.
    """

    ids: IntArray
    weights: FloatArray


class TermEncoder(Protocol):
    """Texts to sparsified token terms (Li et al. 2023, SLIM, section 3.1)."""

    @property
    def name(self) -> str:
        """What `load_term_encoder` was given; stored in ``_meta``."""

    @property
    def fingerprint(self) -> str:
        """Hash of weights, tokenizer and settings, as `Encoder.fingerprint`."""

    @property
    def vocabulary(self) -> Sequence[str]:
        """The term of each vocabulary id."""

    def encode_terms(self, texts: Sequence[str], kind: Kind) -> list[TokenTerms]:
        """Sparsify the texts, in their order."""
