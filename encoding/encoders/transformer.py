"""Token vectors and a pooled vector from any encoder that transformers can load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from opensearch_multivector.encoding.encoders import checkpoints
from opensearch_multivector.encoding.encoders.base import Encoded, FloatArray, IntArray, Kind
from opensearch_multivector.encoding.encoders.pooling import POOLINGS, encode_texts
from opensearch_multivector.encoding.encoders.tokens import TextTokenizer, tokenizer_identity
from opensearch_multivector.errors import InputError

WEIGHT_PATTERNS = ("model*.safetensors", "pytorch_model*.bin")


def weight_files(folder: Path) -> list[Path]:
    """A checkpoint's weights, safetensors where there are both. Raises InputError where there are none."""
    for pattern in WEIGHT_PATTERNS:
        if files := sorted(folder.glob(pattern)):
            return files
    raise InputError(f"{folder} holds no model: expected config.json and model.safetensors (or a model.onnx) in it.")


def load_model(folder: Path, auto_class: str, device: str | None) -> tuple[Any, str]:
    """Load with ``transformers.<auto_class>`` in float32, ready for inference; returns the model and its device.

    Raises InputError where the folder can't be loaded.
    """
    weight_files(folder)
    torch = checkpoints.require("torch", "torch")
    transformers = checkpoints.require("transformers", "torch")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        with _quiet(transformers):
            model, loaded = getattr(transformers, auto_class).from_pretrained(
                str(folder), local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
    except Exception as error:  # OSError, ValueError, KeyError and the formats' own errors
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"transformers can't load the model in {folder}: {reason}") from error
    # transformers fills what a checkpoint lacks with random weights; the pooler is the one part not used here.
    if missing := sorted(key for key in loaded["missing_keys"] if not key.startswith("pooler.")):
        raise InputError(
            f"{folder} has no weights for {missing[0]}, which {auto_class} needs: it is another kind of model."
        )
    return model.eval().to(device), device


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """No progress bar and no notes on unused weights while loading; the caller's logging level comes back after."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_tokenizer(folder: Path, settings: checkpoints.Settings) -> TextTokenizer:
    """The folder's ``tokenizer.json``, else what transformers makes of its vocabulary files."""
    path = folder / "tokenizer.json"
    if path.is_file():
        return TextTokenizer.from_file(path, settings.max_length, settings.pad_id)
    transformers = checkpoints.require("transformers", "torch")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True, use_fast=True)
        return TextTokenizer(tokenizer.backend_tokenizer, settings.max_length, settings.pad_id)
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{folder} holds no tokenizer that transformers can load as a fast one.") from error


class TransformerEncoder:
    """`Encoder` over a checkpoint folder: the last hidden state of every token, L2-normalised."""

    def __init__(self, name: str, folder: Path, max_length: int | None = None, device: str | None = None) -> None:
        self.name = name
        self._folder = folder
        self._settings = checkpoints.settings_of(folder, max_length)
        if self._settings.pooling not in POOLINGS:
            raise InputError(f"{folder} asks for pooling {self._settings.pooling!r}; known are {', '.join(POOLINGS)}.")
        self._model, self._device = load_model(folder, "AutoModel", device)
        self._tokenizer = load_tokenizer(folder, self._settings)
        self.dim: int = self._model.config.hidden_size
        self.max_length = self._settings.max_length

    @cached_property
    def fingerprint(self) -> str:
        """See `Encoder.fingerprint`."""
        return checkpoints.fingerprint(
            weight_files(self._folder),
            {
                "form": "last hidden state, unit vectors",
                "config": checkpoints.read_json(self._folder / "config.json"),
                "tokenizer": tokenizer_identity(self._folder / "tokenizer.json"),
                "max_length": self.max_length,
                "pooling": self._settings.pooling,
            },
        )

    def encode(self, texts: Sequence[str], kind: Kind) -> list[Encoded]:
        """See `Encoder.encode`; queries and documents are encoded alike."""
        return encode_texts(texts, self._tokenizer, self._forward, self._settings.pooling)

    def offsets(self, text: str, kind: Kind) -> IntArray:
        """See `Encoder.offsets`."""
        return self._tokenizer([text])[0].offsets

    def _forward(self, inputs: dict[str, Any]) -> FloatArray:
        hidden = forward(self._model, inputs, self._device).last_hidden_state
        array: FloatArray = np.asarray(hidden.float().cpu().numpy(), dtype=np.float32)
        return array


def forward(model: Any, inputs: dict[str, Any], device: str) -> Any:
    """Run a transformers model on `pad`'s arrays, without gradients; the output's tensors are on ``device``."""
    import torch

    if getattr(model.config, "type_vocab_size", 0) < 2:
        inputs = {name: array for name, array in inputs.items() if name != "token_type_ids"}
    with torch.inference_mode():
        return model(**{name: torch.from_numpy(array).to(device) for name, array in inputs.items()})
