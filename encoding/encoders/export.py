"""A checkpoint as an ONNX graph with its tokenizer and settings, which runs without torch; int8 on request.

int8 is onnxruntime's dynamic quantisation: weights once, per channel, activations while running. Weights take seven
bits, since without VNNI eight of them overflow in the 16-bit sums of x86 and spoil the vectors.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opensearch_multivector.encoding.encoders import checkpoints
from opensearch_multivector.encoding.encoders.base import Encoder, Kind
from opensearch_multivector.encoding.encoders.onnx import TOKEN_VECTORS, OnnxEncoder, write_export
from opensearch_multivector.encoding.encoders.transformer import TransformerEncoder, quiet
from opensearch_multivector.errors import InputError, MissingDependencyError

GRAPH = "model.onnx"
# Of several lengths, so that padding and both ends of what a model takes are tried.
_TRIAL_TEXTS = ["", "Bees dance.", "A dancing bee tells the others, by angle and time, where the flowers are. " * 40]
# Other kernels, another order of additions: 2e-6 is usual.
_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written to a folder.

    ``cosine``: the smallest cosine between a token vector of the graph and the checkpoint's, over a few trial texts.
    ``bytes``: size of the graph.
    """

    folder: Path
    graph: Path
    int8: bool
    bytes: int
    cosine: float
    fingerprint: str


def export_encoder(encoder: Encoder, folder: Path, *, int8: bool = False) -> Exported:
    """Write ``model.onnx``, ``tokenizer.json`` and settings to a new or empty folder, and try them.

    The graph of a float export gives the checkpoint's own vectors and keeps its fingerprint: an index made with one
    can be searched with the other. An int8 one is an encoder of its own.

    Raises InputError where the encoder has no checkpoint to export, the folder is in use, or the graph doesn't give
    the checkpoint's vectors; MissingDependencyError without the extra ``export``.
    """
    if not isinstance(encoder, TransformerEncoder):
        raise InputError(f"{encoder.name} is no text model of transformers: only those can be exported.")
    if encoder.layout.chain and not encoder.layout.late_interaction:
        raise InputError(f"{encoder.name} projects its pooled vector, which an exported graph can't give.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is in use: give a new or empty folder.")
    for module in ("onnx", "onnxruntime"):
        if not checkpoints.installed(module):
            raise MissingDependencyError(f'export needs {module}: pip install "opensearch-multivector[export]".')
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _export(encoder, folder, int8)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _export(encoder: TransformerEncoder, folder: Path, int8: bool) -> Exported:
    graph = folder / GRAPH
    exact = folder / "float.onnx" if int8 else graph
    _trace(encoder, exact)
    if int8:
        _quantise(exact, graph)
        exact.unlink()
    (folder / "tokenizer.json").write_text(encoder.tokenizer.to_str(), encoding="utf-8")
    digest = hashlib.sha256(graph.read_bytes()).hexdigest()
    write_export(folder, encoder.layout, None if int8 else (digest, encoder.fingerprint))
    written = OnnxEncoder(encoder.name, graph, folder / "tokenizer.json")
    cosine = min(_cosine(encoder, written, kind) for kind in ("query", "document"))
    if not int8 and cosine < 1 - _TOLERANCE:
        raise InputError(
            f"the graph of {encoder.name} gives other vectors (cosine {cosine:.4f}): it can't be exported."
        )
    return Exported(folder, graph, int8, graph.stat().st_size, cosine, written.fingerprint)


def _trace(encoder: TransformerEncoder, path: Path) -> None:
    torch = checkpoints.require("torch", "export")
    names = encoder.input_names

    class Graph(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = encoder.model

        def forward(self, *inputs: Any) -> Any:
            hidden = self.model(**dict(zip(names, inputs, strict=True))).last_hidden_state
            return encoder.project(hidden)

    ones = torch.ones((2, 8), dtype=torch.long, device=encoder.device)
    padded = ones.clone()
    padded[1, 5:] = 0
    inputs = {"input_ids": ones, "attention_mask": padded, "token_type_ids": ones * 0}
    axes = {name: {0: "batch", 1: "tokens"} for name in (*names, TOKEN_VECTORS)}
    # The newer exporter takes ten times as long and two packages more for the same graph.
    with quiet(checkpoints.require("transformers", "export")), _no_warnings():
        torch.onnx.export(
            Graph().eval(),
            tuple(inputs[name] for name in names),
            str(path),
            input_names=list(names),
            output_names=[TOKEN_VECTORS],
            dynamic_axes=axes,
            dynamo=False,
        )


def _quantise(source: Path, target: Path) -> None:
    quantisation = checkpoints.require("onnxruntime.quantization", "export")
    with _no_warnings():
        quantisation.quantize_dynamic(
            str(source), str(target), per_channel=True, reduce_range=True, weight_type=quantisation.QuantType.QInt8
        )


@contextmanager
def _no_warnings() -> Iterator[None]:
    """The exporter's remarks on how a model's code was traced: the trial afterwards decides."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _cosine(one: Encoder, other: Encoder, kind: Kind, texts: Sequence[str] = _TRIAL_TEXTS) -> float:
    pairs = zip(one.encode(texts, kind), other.encode(texts, kind), strict=True)
    return min(float(np.einsum("nd,nd->n", a.vectors, b.vectors).min()) for a, b in pairs)
