"""Token vectors and a pooled vector from an ONNX file, with onnxruntime and tokenizers alone: no torch."""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from opensearch_multivector.encoding.encoders import checkpoints
from opensearch_multivector.encoding.encoders.base import Encoded, FloatArray, IntArray, Kind, QueryLength
from opensearch_multivector.encoding.encoders.forms import TextForm
from opensearch_multivector.encoding.encoders.layouts import Layout, read_layout
from opensearch_multivector.encoding.encoders.pooling import encode_texts, encoded
from opensearch_multivector.encoding.encoders.tokens import BATCH_TOKENS, load_tokenizer_file, tokenizer_identity
from opensearch_multivector.errors import InputError

HIDDEN_STATE = "last_hidden_state"
# The output of a graph that `export` wrote: projected, not yet normalised.
TOKEN_VECTORS = "token_vectors"
# Beside an exported graph: the checkpoint's `Layout`, with all tokens as ids.
EXPORT_SETTINGS = "osmv_encoder.json"
EXPORT_FORMAT = 1
# Dynamic quantisation scales activations by the extremes of the whole batch, padding included.
_DYNAMIC_QUANTISATION = b"DynamicQuantize"


class OnnxEncoder:
    """`Encoder` over a ``.onnx`` graph of a transformer and a ``tokenizer.json``.

    A dynamically quantised graph is run one text at a time: in a batch a text's vectors would depend on its
    neighbours by more than rounding. On CPU that costs nothing, since batches there only add padding.
    """

    def __init__(
        self,
        name: str,
        model: Path,
        tokenizer: Path,
        max_length: int | None = None,
        query_length: QueryLength = None,
    ) -> None:
        self.name = name
        self._model, self._tokenizer_file = model, tokenizer
        self._session = _session(model)
        loaded = load_tokenizer_file(tokenizer)
        self._export = _read_export(tokenizer.parent)
        plain = self._export.layout if self._export else _foreign_layout(model, tokenizer.parent, loaded)
        own = plain.with_max_length(max_length)
        self._layout = own.with_query_length(query_length)
        self._unchanged = own == plain
        self._identity = own.identity()
        self._inputs = {node.name for node in self._session.get_inputs()}
        self._output, self.dim = _hidden_state(self._session, model)
        self._batch_tokens = 1 if _is_dynamically_quantised(model) else BATCH_TOKENS
        self._tokenizers = self._layout.tokenizers(loaded)
        self._result = partial(encoded, pooling=self._layout.pooling)
        self.max_length = self._layout.document.max_length

    @cached_property
    def fingerprint(self) -> str:
        """See `Encoder.fingerprint`; the checkpoint's own where an export is exact."""
        if self._export and self._export.digest and self._unchanged:
            with self._model.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == self._export.digest:
                    return self._export.fingerprint
        return checkpoints.fingerprint(
            [self._model, *self._model.parent.glob(f"{self._model.name}[._]data")],
            {
                "form": f"{self._output}, unit vectors",
                "tokenizer": tokenizer_identity(self._tokenizer_file),
                **self._identity,
            },
        )

    def encode(self, texts: Sequence[str], kind: Kind) -> list[Encoded]:
        """See `Encoder.encode`."""
        return encode_texts(texts, self._tokenizers[kind], self._forward, self._result, self._batch_tokens)

    def offsets(self, text: str, kind: Kind) -> IntArray:
        """See `Encoder.offsets`."""
        return self._tokenizers[kind].offsets(text)

    def _forward(self, inputs: dict[str, Any]) -> FloatArray:
        feed = {name: array for name, array in inputs.items() if name in self._inputs}
        hidden: FloatArray = np.asarray(self._session.run([self._output], feed)[0], dtype=np.float32)
        return hidden


@dataclass(frozen=True, slots=True)
class _Export:
    """What `write_export` wrote. ``digest``: SHA-256 of a graph that gives the vectors of ``fingerprint``, or ""."""

    layout: Layout
    digest: str = ""
    fingerprint: str = ""


def write_export(folder: Path, layout: Layout, same: tuple[str, str] | None) -> None:
    """Put beside an exported graph what decides its vectors; the projections are in the graph.

    ``same``: SHA-256 of the graph, and the fingerprint of the encoder whose vectors it gives; None for an inexact one.
    """
    settings: dict[str, Any] = {"format": EXPORT_FORMAT} | asdict(replace(layout, chain=()))
    if same:
        settings["same"] = dict(zip(("digest", "fingerprint"), same, strict=True))
    (folder / EXPORT_SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _read_export(folder: Path) -> _Export | None:
    """None where there is none. Raises InputError where it isn't readable by this release."""
    path = folder / EXPORT_SETTINGS
    settings = checkpoints.read_json(path)
    if not settings:
        return None
    try:
        if settings.pop("format") != EXPORT_FORMAT:
            raise ValueError("another format")
        same = settings.pop("same", {})
        settings |= {kind: TextForm.from_dict(settings[kind]) for kind in ("query", "document")} | {"chain": ()}
        return _Export(Layout(**settings), **same)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not what this release's osmv export writes ({error}): export again.") from error


def _foreign_layout(model: Path, folder: Path, tokenizer: Any) -> Layout:
    """The layout of a graph that was exported elsewhere, which says nothing of projections."""
    layout = read_layout(folder, tokenizer)
    if layout.chain or layout.late_interaction:
        raise InputError(f"{model} comes without {EXPORT_SETTINGS}: make it anew from the checkpoint with osmv export.")
    return layout


def _is_dynamically_quantised(model: Path) -> bool:
    """By the operators' names, which stand in the file as they are; reading the graph would take another package."""
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_DYNAMIC_QUANTISATION) >= 0


def _session(model: Path) -> Any:
    runtime = checkpoints.require("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    # Waiting threads would burn the cores that OpenSearch and the bulk writer use beside the encoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    available = runtime.get_available_providers()
    providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]
    try:
        return runtime.InferenceSession(str(model), options, providers=providers)
    except Exception as error:  # onnxruntime's own errors share no public base
        raise InputError(f"{model} can't be loaded as an ONNX model: {str(error).partition(chr(10))[0]}") from error


def _hidden_state(session: Any, model: Path) -> tuple[str, int]:
    """Name and width of the (batch, tokens, dim) output. Raises InputError where the graph has none."""
    outputs = [node for node in session.get_outputs() if len(node.shape or ()) == 3]
    named = [node for node in outputs if node.name == HIDDEN_STATE] or outputs
    if not named or not isinstance(named[0].shape[2], int):
        shapes = ", ".join(f"{node.name} {node.shape}" for node in session.get_outputs())
        raise InputError(
            f"{model} has no output of shape (batch, tokens, dim) to take token vectors from, but {shapes}."
        )
    return named[0].name, named[0].shape[2]
