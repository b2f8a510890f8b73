"""The encoders of all indices that are served, each loaded once, at its first use, for all searchers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from opensearch_multivector.encoding.encoders import (
    MINILM,
    MINILM_INT8,
    checkpoints,
    load_encoder,
    load_term_encoder,
)
from opensearch_multivector.encoding.encoders.base import (
    Encoded,
    Encoder,
    ImageEncoder,
    IntArray,
    Kind,
    TermEncoder,
    TokenTerms,
)
from opensearch_multivector.errors import InputError, MismatchError, OsmvError
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef

Model = TypeVar("Model", Encoder, TermEncoder)


class _Shared(Generic[Model]):
    """One at a time: tokenizers are not made for several threads, and two encodings only share the same cores."""

    def __init__(self, ref: EncoderRef, load: Callable[[str], Model]) -> None:
        self.name = ref.name
        self.fingerprint = ref.fingerprint
        self._load: Callable[[str], Model] = load
        self._model: Model | None = None
        self._lock = threading.RLock()

    def load(self) -> None:
        """Load it, if it is not; what keeps it from that is said where it is needed."""
        with suppress(OsmvError):
            self._get()

    def _get(self) -> Model:
        """The model. Raises MismatchError where it is not the one that the index was made with."""
        with self._lock:
            if self._model is None:
                model = self._load(self.name)
                if model.fingerprint != self.fingerprint:
                    raise MismatchError(
                        f"the index was made with encoder {self.name!r} of fingerprint {self.fingerprint}, and that of "
                        f"the service's is {model.fingerprint}: bring the same weights, or index again with these"
                    )
                self._model = model
            return self._model


class SharedEncoder(_Shared[Encoder]):
    """An `Encoder` that any number of searchers and threads may have."""

    @property
    def dim(self) -> int:
        """See `Encoder.dim`."""
        return self._get().dim

    @property
    def max_length(self) -> int:
        """See `Encoder.max_length`."""
        return self._get().max_length

    @property
    def takes_images(self) -> bool | None:
        """Whether it encodes images, without loading it; None: that can't be told."""
        if self._model is not None:
            return isinstance(self._model, ImageEncoder)
        folder = Path(self.name).expanduser()
        if self.name in (MINILM, MINILM_INT8) or folder.suffix == ".onnx":
            return False
        return checkpoints.visual_architecture(folder) is not None if folder.is_dir() else None

    def encode(self, texts: Sequence[str], kind: Kind) -> list[Encoded]:
        """See `Encoder.encode`."""
        with self._lock:
            return self._get().encode(texts, kind)

    def offsets(self, text: str, kind: Kind) -> IntArray:
        """See `Encoder.offsets`."""
        with self._lock:
            return self._get().offsets(text, kind)

    def images(self, images: Sequence[Any]) -> list[Encoded]:
        """See `ImageEncoder.encode_images`. Raises InputError where the model takes texts only."""
        with self._lock:
            model = self._get()
            if not isinstance(model, ImageEncoder):
                raise InputError(f"the index's encoder {self.name!r} takes texts only: leave out the image")
            return model.encode_images(images)


class SharedTermEncoder(_Shared[TermEncoder]):
    """A `TermEncoder` for the same."""

    @property
    def vocabulary(self) -> Sequence[str]:
        """See `TermEncoder.vocabulary`."""
        return self._get().vocabulary

    def encode_terms(self, texts: Sequence[str], kind: Kind) -> list[TokenTerms]:
        """See `TermEncoder.encode_terms`."""
        with self._lock:
            return self._get().encode_terms(texts, kind)


class Encoders:
    """By what an index says of its encoder; None where it has none that could be loaded."""

    def __init__(self) -> None:
        self._texts: dict[EncoderRef, SharedEncoder] = {}
        self._terms: dict[EncoderRef, SharedTermEncoder] = {}

    def of(self, ref: EncoderRef | None) -> SharedEncoder | None:
        """That of token vectors."""
        if ref is None or ref.name == READY_VECTORS:
            return None
        return self._texts.setdefault(ref, SharedEncoder(ref, load_encoder))

    def terms_of(self, ref: EncoderRef | None) -> SharedTermEncoder | None:
        """That of SLIM's terms."""
        if ref is None or ref.name == READY_VECTORS:
            return None
        return self._terms.setdefault(ref, SharedTermEncoder(ref, load_term_encoder))
