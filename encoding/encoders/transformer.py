"""Token vectors and a pooled vector from any encoder that transformers can load."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from opensearch_multivector.encoding.encoders import checkpoints
from opensearch_multivector.encoding.encoders.base import Encoded, FloatArray, IntArray, Kind, QueryLength
from opensearch_multivector.encoding.encoders.layouts import read_layout
from opensearch_multivector.encoding.encoders.pooling import encode_texts, encoded
from opensearch_multivector.encoding.encoders.projections import load_projection
from opensearch_multivector.encoding.encoders.tokens import load_tokenizer_file, tokenizer_identity
from opensearch_multivector.errors import InputError

# transformers changes its own classes while it loads a model. Two loads at once may leave them so for good, and no
# model that comes later has its tied weights.
_LOADING = threading.Lock()


def load_model(folder: Path, auto_class: str, device: str | None) -> tuple[Any, str]:
    """Load with ``transformers.<auto_class>`` in float32, ready for inference; returns the model and its device.

    Raises InputError where the folder can't be loaded.
    """
    checkpoints.weight_files(folder)
    torch = checkpoints.require("torch", "torch")
    transformers = checkpoints.require("transformers", "torch")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        with _LOADING, quiet(transformers):
            model, loaded = getattr(transformers, auto_class).from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
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
def quiet(transformers: Any) -> Iterator[None]:
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


def load_tokenizer(folder: Path) -> Any:
    """The folder's ``tokenizer.json``, else what transformers makes of its vocabulary: a ``tokenizers.Tokenizer``."""
    path = folder / "tokenizer.json"
    if path.is_file():
        return load_tokenizer_file(path)
    transformers = checkpoints.require("transformers", "torch")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True, use_fast=True)
        return tokenizer.backend_tokenizer
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{folder} holds no tokenizer that transformers can load as a fast one.") from error


class TransformerEncoder:
    """`Encoder` over a checkpoint folder: what its layout makes of the last hidden state, L2-normalised."""

    def __init__(
        self,
        name: str,
        folder: Path,
        max_length: int | None = None,
        device: str | None = None,
        query_length: QueryLength = None,
    ) -> None:
        self.name = name
        self.folder = folder
        checkpoints.weight_files(folder)
        self.tokenizer = load_tokenizer(folder)
        own = read_layout(folder, self.tokenizer).with_max_length(max_length)
        # How far queries reach makes them no strangers to documents: it isn't in the fingerprint.
        self.layout = own.with_query_length(query_length)
        self._identity = own.identity()
        self.model, self.device = load_model(folder, "AutoModel", device)
        self.project, width = load_projection(self.layout.chain, self.device)
        self.dim: int = width or self.model.config.hidden_size
        self.max_length = self.layout.document.max_length
        self._tokenizers = self.layout.tokenizers(self.tokenizer)
        # Late interaction projects on the device; a pooled vector that is projected needs the hidden states here.
        after_pooling = self._project_array if self.layout.chain and not self.layout.late_interaction else None
        self._result = partial(encoded, pooling=self.layout.pooling, project=after_pooling)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Those of `TextTokenizer.pad`'s arrays that the model takes."""
        return input_names(self.model)

    @cached_property
    def fingerprint(self) -> str:
        """See `Encoder.fingerprint`."""
        return checkpoints.fingerprint(
            {*checkpoints.weight_files(self.folder), *(dense.weights for dense in self.layout.chain)},
            {
                "form": "last hidden state, unit vectors",
                "config": checkpoints.read_json(self.folder / "config.json"),
                "tokenizer": tokenizer_identity(self.folder / "tokenizer.json"),
                **self._identity,
            },
        )

    def encode(self, texts: Sequence[str], kind: Kind) -> list[Encoded]:
        """See `Encoder.encode`."""
        return encode_texts(texts, self._tokenizers[kind], self._forward, self._result)

    def offsets(self, text: str, kind: Kind) -> IntArray:
        """See `Encoder.offsets`."""
        return self._tokenizers[kind].offsets(text)

    def _forward(self, inputs: dict[str, Any]) -> FloatArray:
        import torch

        hidden = forward(self.model, inputs, self.device).last_hidden_state.float()
        if self.layout.late_interaction:
            with torch.inference_mode():
                hidden = self.project(hidden)
        array: FloatArray = np.asarray(hidden.cpu().numpy(), dtype=np.float32)
        return array

    def _project_array(self, hidden: FloatArray) -> FloatArray:
        import torch

        with torch.inference_mode():
            projected: FloatArray = self.project(torch.from_numpy(hidden).to(self.device)).cpu().numpy()
        return projected


def input_names(model: Any) -> tuple[str, ...]:
    """Those of `TextTokenizer.pad`'s arrays that a transformers model takes."""
    typed = getattr(model.config, "type_vocab_size", 0) >= 2
    return ("input_ids", "attention_mask", "token_type_ids") if typed else ("input_ids", "attention_mask")


def forward(model: Any, inputs: dict[str, Any], device: str) -> Any:
    """Run a transformers model on `pad`'s arrays, without gradients; the output's tensors are on ``device``."""
    import torch

    with torch.inference_mode():
        return model(**{name: torch.from_numpy(inputs[name]).to(device) for name in input_names(model)})
