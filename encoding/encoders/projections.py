"""Projections from a transformer's hidden states to token vectors: one matrix, or a chain of Dense modules.

A Dense gives act(W h + b), and where it is residual act(W h + b) + h, or + R h where the widths differ (PyLate's
``Dense.py``, sentence-transformers' ``base/modules/dense.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from opensearch_multivector.encoding.encoders import checkpoints
from opensearch_multivector.errors import InputError

# A torch tensor (..., in_features) to one (..., out_features).
Projection: TypeAlias = Callable[[Any], Any]
COLBERT_WEIGHT = "linear.weight"


@dataclass(frozen=True, slots=True)
class Dense:
    """One Dense module of a checkpoint: where its weights lie, and how they are applied.

    ``activation``: dotted name of a ``torch.nn`` module class without parameters.
    """

    weights: Path
    activation: str = "torch.nn.modules.linear.Identity"
    residual: bool = False

    @classmethod
    def from_folder(cls, folder: Path) -> Dense:
        """Read the ``config.json`` of a Dense module. Raises InputError where it holds something else."""
        config = checkpoints.read_json(folder / "config.json")
        ends = [config.get(key) or "token_embeddings" for key in ("module_input_name", "module_output_name")]
        if unknown := [end for end in ends if end not in ("token_embeddings", "sentence_embedding")]:
            raise InputError(f"{folder} reads or writes {unknown[0]!r}, which is no token or text vector.")
        return cls(
            weights=checkpoints.weight_files(folder)[0],
            # The default of sentence-transformers, whose first versions did not write it.
            activation=config.get("activation_function") or "torch.nn.modules.activation.Tanh",
            residual=bool(config.get("use_residual")),
        )


def has_colbert_weight(files: Sequence[Path]) -> bool:
    """Whether ColBERT's projection lies among a transformer's weights; pickled ones aren't loaded to find out."""
    return any(COLBERT_WEIGHT in _tensor_names(path) for path in files if path.suffix == ".safetensors")


def _tensor_names(path: Path) -> Collection[str]:
    """From the JSON at the file's head, after its length: a tokenizer may lie beside weights where no torch is."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                raise ValueError("it is cut off, or no safetensors file")
            names: dict[str, Any] = json.loads(file.read(length))
        return names
    except (OSError, ValueError) as error:
        raise InputError(f"transformers can't load the model in {path.parent}: {path.name}: {error}") from error


def load_projection(chain: Sequence[Dense], device: str) -> tuple[Projection, int | None]:
    """The chain as one function of tensors on ``device``, float32, and the width of what it gives (None: unchanged).

    Raises InputError where weights are missing or of another shape, or an activation is none of torch's.
    """
    if not chain:
        return lambda hidden: hidden, None
    steps = [_load(dense, device) for dense in chain]

    def project(hidden: Any) -> Any:
        for step, _ in steps:
            hidden = step(hidden)
        return hidden

    return project, steps[-1][1]


def _load(dense: Dense, device: str) -> tuple[Projection, int]:
    torch = checkpoints.require("torch", "torch")
    tensors = {name: tensor.to(device, torch.float32) for name, tensor in _tensors(dense.weights).items()}
    if COLBERT_WEIGHT not in tensors:
        raise InputError(f"{dense.weights} holds no {COLBERT_WEIGHT}: it is another kind of module.")
    weight, bias, across = tensors[COLBERT_WEIGHT], tensors.get("linear.bias"), tensors.get("residual.weight")
    if dense.residual and across is None and weight.shape[0] != weight.shape[1]:
        raise InputError(
            f"{dense.weights} is residual from {weight.shape[1]} to {weight.shape[0]} without its weights."
        )
    activation = _activation(dense)
    linear = torch.nn.functional.linear

    def step(hidden: Any) -> Any:
        projected = activation(linear(hidden, weight, bias))
        if dense.residual:
            projected = projected + (hidden if across is None else linear(hidden, across))
        return projected

    return step, int(weight.shape[0])


def _tensors(path: Path) -> dict[str, Any]:
    """Those of a file that belong to a Dense module."""
    wanted = (COLBERT_WEIGHT, "linear.bias", "residual.weight")
    try:
        if path.suffix == ".safetensors":
            library = checkpoints.require("safetensors", "torch")
            with library.safe_open(path, framework="pt") as tensors:
                return {name: tensors.get_tensor(name) for name in tensors.keys() if name in wanted}  # noqa: SIM118
        torch = checkpoints.require("torch", "torch")
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return {name: loaded[name] for name in wanted if name in loaded}
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"{path} can't be read as weights ({str(error).partition(chr(10))[0]}).") from error


def _activation(dense: Dense) -> Projection:
    torch = checkpoints.require("torch", "torch")
    module, _, name = dense.activation.rpartition(".")
    # Any other dotted name would run code of the checkpoint's choice.
    if module.startswith("torch.nn."):
        found = getattr(import_module(module), name, None)
        if isinstance(found, type) and issubclass(found, torch.nn.Module):
            try:
                activation: Projection = found().eval()
                return activation
            except TypeError:
                pass
    raise InputError(f"{dense.weights.parent} has the activation {dense.activation!r}, which is none of torch.nn's.")
