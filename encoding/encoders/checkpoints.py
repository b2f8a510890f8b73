"""Where a model's files lie and what its folder says about them: packages, local folders, the model hub."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from opensearch_multivector.errors import InputError, MissingDependencyError

DEFAULT_MAX_LENGTH = 256
VISUAL_ARCHITECTURES = ("ColPaliForRetrieval", "ColQwen2ForRetrieval")
# The hub's patterns match in sub-folders too (1_Dense/model.safetensors). Pickled weights only where it has no others.
_WANTED = ["*.json", "*.txt", "*.model", "*.metadata", "*.jinja", "*.safetensors"]


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package. Raises MissingDependencyError naming the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f'this encoder needs {module}, not importable ({error}): pip install "opensearch-multivector[{extra}]".'
        ) from error


def installed(module: str) -> bool:
    """Whether a top-level package could be imported; does not import it."""
    return importlib.util.find_spec(module) is not None


def package_path(package: str, relative: str) -> Path | None:
    """A file or folder inside an installed package, found without importing the package; None where absent."""
    spec = importlib.util.find_spec(package)
    roots = (spec.submodule_search_locations if spec else None) or ()
    return next((path for root in roots if (path := Path(root, relative)).exists()), None)


def folder_of(name: str) -> Path:
    """The folder of a model: ``name`` itself if it is one, else the hub's snapshot (cached, else downloaded).

    Raises InputError where neither has it.
    """
    local = Path(name).expanduser()
    if local.is_dir():
        return local
    if local.exists() or local.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise InputError(
            f"{name!r} is no folder with a model: give a checkpoint's folder, a .onnx file or a model's name."
        )
    hub = require("huggingface_hub", "torch")
    try:
        try:
            return Path(hub.snapshot_download(name, allow_patterns=_WANTED, local_files_only=True))
        except (OSError, ValueError):
            return _downloaded(hub, name)
    except Exception as error:  # the hub's client raises many kinds: no such name, no network, no rights
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(
            f"no model {name!r}: it is neither a built-in name nor a folder, and the model hub did not give it "
            f"({reason}). Check the name, or give the path of a downloaded model."
        ) from error


def _downloaded(hub: ModuleType, name: str) -> Path:
    folder = Path(hub.snapshot_download(name, allow_patterns=_WANTED))
    if not any(folder.rglob("*.safetensors")):
        hub.snapshot_download(name, allow_patterns=[*_WANTED, "*.bin"])
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file, {} where the file is absent. Raises InputError where it isn't a JSON object."""
    value = _json(path, {})
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object: the model's download may be incomplete.")
    return value


def weight_files(folder: Path) -> list[Path]:
    """A checkpoint's weights, safetensors where there are both. Raises InputError where there are none."""
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        if files := sorted(folder.glob(pattern)):
            return files
    raise InputError(f"{folder} holds no model: expected config.json and model.safetensors (or a model.onnx) in it.")


def visual_architecture(folder: Path) -> str | None:
    """The transformers class of a checkpoint that encodes images to vectors of their patches, None for other models."""
    architectures = read_json(folder / "config.json").get("architectures") or ()
    return next((str(name) for name in architectures if name in VISUAL_ARCHITECTURES), None)


def read_modules(folder: Path) -> list[dict[str, Any]]:
    """The chain of modules in sentence-transformers' ``modules.json``, [] where there is none.

    Raises InputError where it isn't a list of modules.
    """
    modules = _json(folder / "modules.json", [])
    if not isinstance(modules, list) or not all(isinstance(one, dict) and "type" in one for one in modules):
        raise InputError(f"{folder / 'modules.json'} lists no modules: the model's download may be incomplete.")
    return modules


def _json(path: Path, default: Any) -> Any:
    if not path.is_file():
        return default
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}): the model's download may be incomplete.") from error


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides a model's vectors beside its weights: token limit, pooling of the one-vector form, padding token."""

    max_length: int
    pooling: str
    pad_id: int


def settings_of(folder: Path, max_length: int | None = None) -> Settings:
    """Read a checkpoint folder in sentence-transformers' or plain layout; ``max_length`` overrides the folder's.

    Raises InputError on an impossible length.
    """
    config = read_json(folder / "config.json")
    limit = token_limit(folder)
    check_length("max_length", max_length, limit)
    length = max_length or read_json(folder / "sentence_bert_config.json").get("max_seq_length") or DEFAULT_MAX_LENGTH
    return Settings(
        max_length=min(length, limit) if limit else length,
        pooling=_pooling(folder / "1_Pooling" / "config.json"),
        pad_id=config.get("pad_token_id") or 0,
    )


def token_limit(folder: Path) -> int | None:
    """Most tokens that the model has positions for, or None where neither model nor tokenizer says."""
    limits = (
        read_json(folder / "config.json").get("max_position_embeddings"),
        read_json(folder / "tokenizer_config.json").get("model_max_length"),
    )
    return min((limit for limit in limits if limit), default=None)


def check_length(option: str, length: int | None, limit: int | None) -> None:
    """Raises InputError where the length given for an option is not possible for a model with this limit."""
    if length is not None and (length < 3 or (limit and length > limit)):
        raise InputError(f"{option} {length} is out of range: this model takes 3 to {limit or 'any number of'} tokens.")


def _pooling(path: Path) -> str:
    config = read_json(path)
    if isinstance(config.get("pooling_mode"), str):
        return str(config["pooling_mode"])
    modes = [key for key, on in config.items() if key.startswith("pooling_mode_") and on]
    if len(modes) > 1:
        raise InputError(
            f"{path} asks for several poolings at once ({', '.join(modes)}), which would not be one vector."
        )
    return modes[0].removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token") if modes else "mean"


def fingerprint(weights: Iterable[Path], parts: Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 over weight files and every other thing that decides the vectors.

    ``parts`` is hashed as canonical JSON, so the order of keys and the layout of a file don't matter.
    """
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode())
    for path in sorted(weights):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
