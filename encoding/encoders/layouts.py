"""What a checkpoint's folder says of queries, documents and projections, in each of the layouts that people have.

- plain: a transformer, or sentence-transformers' chain with a pooling. Queries and documents are encoded alike, but for
  the prompts.
- ColBERT (``linear.weight`` among the transformer's weights, ``artifact.metadata``): names and defaults of
  ``colbert/infra/config/settings.py``.
- PyLate (``modules.json`` with Dense, ``config_sentence_transformers.json`` with prefixes): its ``models/colbert.py``.
- sentence-transformers' MultiVectorEncoder (``modules.json`` with MultiVectorMask), 6.0 and later.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from opensearch_multivector.encoding.encoders import checkpoints
from opensearch_multivector.encoding.encoders.base import Kind, QueryLength
from opensearch_multivector.encoding.encoders.forms import TextForm
from opensearch_multivector.encoding.encoders.pooling import POOLINGS
from opensearch_multivector.encoding.encoders.projections import Dense, has_colbert_weight
from opensearch_multivector.encoding.encoders.tokens import TextTokenizer
from opensearch_multivector.errors import InputError

_CHAIN = {"Transformer", "Pooling", "Dense", "Dropout", "Normalize", "MultiVectorMask"}
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
# Token limit of a dynamic query where neither model nor tokenizer says one.
_NO_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Layout:
    """All that decides a checkpoint's vectors beside its weights and tokenizer.

    ``pooling``: of the hidden states, by its name in `POOLINGS`; None: the pooled vector is the mean of the token
    vectors. ``chain``: projections of every token, after which vectors are normalised. ``limit``: most tokens that the
    model takes.
    """

    query: TextForm
    document: TextForm
    pooling: str | None
    pad_id: int
    limit: int | None
    chain: tuple[Dense, ...] = ()

    @property
    def late_interaction(self) -> bool:
        """Whether the model was trained for token vectors: queries and documents are then encoded differently."""
        return self.pooling is None

    def with_max_length(self, max_length: int | None) -> Layout:
        """Another length of documents; of a plain model's queries too. Raises InputError where it is impossible."""
        checkpoints.check_length("max_length", max_length, self.limit)
        if max_length is None:
            return self
        query = self.query if self.late_interaction else replace(self.query, max_length=max_length)
        return replace(self, query=query, document=replace(self.document, max_length=max_length))

    def with_query_length(self, length: QueryLength) -> Layout:
        """Another length of queries; ``dynamic``: long ones are filled up to the next multiple instead of cut.

        Raises InputError where it is impossible, or dynamic without mask augmentation.
        """
        if length is None:
            return self
        step = self.query.expand_to
        if length != "dynamic":
            checkpoints.check_length("query_length", length, self.limit)
            return replace(self, query=replace(self.query, max_length=length, expand_to=step and length))
        if not step:
            raise InputError("query_length 'dynamic' is for models that fill queries up with masks: give a number.")
        longest = max(step, (self.limit or _NO_LIMIT) // step * step)
        return replace(self, query=replace(self.query, max_length=longest, expand_multiples=True))

    def tokenizers(self, tokenizer: Any) -> dict[Kind, TextTokenizer]:
        """One `TextTokenizer` for both kinds where they are alike, else one for each."""
        document = TextTokenizer(tokenizer, self.document, self.pad_id)
        alike = self.query == self.document
        return {
            "query": document if alike else TextTokenizer(tokenizer, self.query, self.pad_id),
            "document": document,
        }

    def identity(self) -> dict[str, Any]:
        """What decides the vectors, for the fingerprint."""
        identity: dict[str, Any] = {"max_length": self.document.max_length, "pooling": self.pooling}
        if self.late_interaction or self.chain or self.query != self.document:
            identity |= {
                "query": asdict(self.query),
                "document": asdict(self.document),
                "chain": [(dense.activation, dense.residual) for dense in self.chain],
            }
        return identity


def read_layout(folder: Path, tokenizer: Any) -> Layout:
    """Recognise a checkpoint's layout and read it. ``tokenizer``: its ``tokenizers.Tokenizer``.

    Raises InputError on modules that this release can't apply, and on settings that contradict each other.
    """
    modules = [(str(one["type"]), folder / str(one.get("path", ""))) for one in checkpoints.read_modules(folder)]
    kinds = [kind.rpartition(".")[2] for kind, _ in modules]
    if unknown := [kind for kind in kinds if kind not in _CHAIN]:
        raise InputError(f"{folder} is a checkpoint with {', '.join(unknown)}, which this release can't apply.")
    if "Normalize" in kinds and "Dense" in kinds[kinds.index("Normalize") :]:
        raise InputError(f"{folder} normalises before a Dense module, which this release can't apply.")
    chain = tuple(Dense.from_folder(path) for (_, path), kind in zip(modules, kinds, strict=True) if kind == "Dense")
    if not modules and _is_colbert(folder):
        return _colbert(folder, tokenizer)
    config = checkpoints.read_json(folder / "config_sentence_transformers.json")
    if "MultiVectorMask" in kinds:
        return _multi_vector(folder, modules[kinds.index("MultiVectorMask")][1], config, tokenizer, chain)
    pylate = config.get("model_type") == "ColBERT" or any(kind.startswith("pylate.") for kind, _ in modules)
    if pylate or "query_prefix" in config:
        return _pylate(folder, config, tokenizer, chain)
    return _plain(folder, config, chain)


def _plain(folder: Path, config: dict[str, Any], chain: tuple[Dense, ...]) -> Layout:
    settings = checkpoints.settings_of(folder)
    if settings.pooling not in POOLINGS:
        raise InputError(f"{folder} asks for pooling {settings.pooling!r}; known are {', '.join(POOLINGS)}.")
    query, document = _prompts(config)
    return Layout(
        query=TextForm(settings.max_length, prompt=query),
        document=TextForm(settings.max_length, prompt=document),
        pooling=settings.pooling,
        pad_id=settings.pad_id,
        limit=checkpoints.token_limit(folder),
        chain=chain,
    )


def _is_colbert(folder: Path) -> bool:
    architectures = checkpoints.read_json(folder / "config.json").get("architectures") or ()
    if any("colbert" in str(name).lower() for name in architectures):
        return True
    return has_colbert_weight(sorted(folder.glob("model*.safetensors")))


def _colbert(folder: Path, tokenizer: Any) -> Layout:
    metadata = checkpoints.read_json(folder / "artifact.metadata")
    metadata = metadata.get("config", metadata)
    tokens = _SpecialTokens(folder, tokenizer)
    limit = checkpoints.token_limit(folder)
    query_length = _within(int(metadata.get("query_maxlen") or 32), limit)
    # The library itself takes the first piece of each sign, whatever it is.
    signs = [tokenizer.encode(sign, add_special_tokens=False).ids[:1] for sign in string.punctuation]
    masked = metadata.get("mask_punctuation", True)
    return Layout(
        query=TextForm(
            max_length=query_length,
            marker=tokens.marker(metadata.get("query_token_id") or "[unused0]"),
            expand_to=query_length,
            expand_id=tokens.expansion(),
            attend_expansion=bool(metadata.get("attend_to_mask_tokens")),
        ),
        document=TextForm(
            max_length=_within(int(metadata.get("doc_maxlen") or 220), limit),
            marker=tokens.marker(metadata.get("doc_token_id") or "[unused1]"),
            skiplist=_sorted(number for ids in signs for number in ids) if masked else (),
        ),
        pooling=None,
        pad_id=tokens.pad_id,
        limit=limit,
        chain=(Dense(weights=_colbert_weights(folder)),),
    )


def _colbert_weights(folder: Path) -> Path:
    """The file with ``linear.weight``, which of several shards only one has."""
    files = checkpoints.weight_files(folder)
    return files[0] if len(files) == 1 else next((path for path in files if has_colbert_weight([path])), files[0])


def _pylate(folder: Path, config: dict[str, Any], tokenizer: Any, chain: tuple[Dense, ...]) -> Layout:
    tokens = _SpecialTokens(folder, tokenizer)
    query_prompt, document_prompt = _prompts(config)
    limit = checkpoints.token_limit(folder)
    query_length = _within(int(_given(config, "query_length", 32)), limit)
    expands = bool(_given(config, "do_query_expansion", True))
    words = _given(config, "skiplist_words", list(string.punctuation))
    # Blanks are stripped, and a word without a token of its own skips the unknown token: both as PyLate does.
    return Layout(
        query=TextForm(
            max_length=query_length,
            prompt=query_prompt,
            strip=True,
            marker=tokens.marker(_given(config, "query_prefix", "[Q] ")),
            expand_to=query_length if expands else 0,
            expand_id=tokens.expansion() if expands else 0,
            attend_expansion=expands and bool(config.get("attend_to_expansion_tokens")),
        ),
        document=TextForm(
            max_length=_within(int(_given(config, "document_length", 180)), limit),
            prompt=document_prompt,
            strip=True,
            marker=tokens.marker(_given(config, "document_prefix", "[D] ")),
            skiplist=_sorted(number for word in words if (number := tokens.id_or_unknown(word)) is not None),
        ),
        pooling=None,
        pad_id=tokens.pad_id,
        limit=limit,
        chain=chain,
    )


def _multi_vector(folder: Path, mask: Path, config: dict[str, Any], tokenizer: Any, chain: tuple[Dense, ...]) -> Layout:
    tokens = _SpecialTokens(folder, tokenizer)
    query_prompt, document_prompt = _prompts(config)
    settings = checkpoints.read_json(folder / "sentence_bert_config.json")
    masks = checkpoints.read_json(mask / "config.json")
    if masks.get("keep_only_token_ids"):
        raise InputError(f"{mask} keeps image tokens only, which this release does for ColPali's own classes alone.")
    limit = checkpoints.token_limit(folder)
    longest = settings.get("max_seq_length") or limit or checkpoints.DEFAULT_MAX_LENGTH
    query_length = _given(settings, "query_length", longest)
    expansion = settings.get("query_expansion") or {}
    floor = int(expansion.get("length") or 0)
    tasks = masks.get("skiplist_tasks") or ["document"]
    skiplist = _sorted(
        number for word in masks.get("skiplist_words") or () if (number := tokens.vocabulary.get(word)) is not None
    )
    return Layout(
        query=TextForm(
            max_length=floor if expansion.get("strategy") == "fixed" else _within(max(query_length, floor), limit),
            prompt=query_prompt,
            expand_to=floor,
            expand_id=tokens.expansion(expansion.get("token")) if expansion else 0,
            attend_expansion=bool(expansion.get("attend")),
            skiplist=skiplist if "query" in tasks else (),
        ),
        document=TextForm(
            max_length=_within(_given(settings, "document_length", longest), limit),
            prompt=document_prompt,
            skiplist=skiplist if "document" in tasks else (),
        ),
        pooling=None,
        pad_id=tokens.pad_id,
        limit=limit,
        chain=chain,
    )


def _prompts(config: dict[str, Any]) -> tuple[str, str]:
    """What is put before queries and before documents (``config_sentence_transformers.json``)."""
    prompts = {name: prompt for name, prompt in (config.get("prompts") or {}).items() if prompt is not None}
    default = prompts.get(config.get("default_prompt_name"), "")
    document = next((prompts[name] for name in _DOCUMENT_PROMPTS if name in prompts), default)
    return prompts.get("query", default), document


def _given(config: dict[str, Any], key: str, default: Any) -> Any:
    value = config.get(key)
    return default if value is None else value


def _within(length: int, limit: int | None) -> int:
    return min(length, limit) if limit else length


def _sorted(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(numbers)))


class _SpecialTokens:
    """A tokenizer's ids of markers, masks and padding, by the names that its folder gives them."""

    def __init__(self, folder: Path, tokenizer: Any) -> None:
        self._folder = folder
        self.vocabulary: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
        self._names = checkpoints.read_json(folder / "special_tokens_map.json") | checkpoints.read_json(
            folder / "tokenizer_config.json"
        )
        self.pad_id: int = checkpoints.read_json(folder / "config.json").get("pad_token_id") or 0

    def marker(self, token: str | int) -> int | None:
        """A prefix's id, None where the prefix is empty. Raises InputError where the tokenizer can't say it."""
        if not isinstance(token, str):
            return int(token)
        if not token:
            return None
        number = self.id_or_unknown(token)
        if number is None:
            raise InputError(f"{self._folder} marks texts with {token!r}, which its tokenizer has no token for.")
        return number

    def expansion(self, token: str | None = None) -> int:
        """The id that queries are filled up with: the mask's, else the end's, else padding."""
        if token is not None and token in self.vocabulary:
            return self.vocabulary[token]
        found = (self._id("mask_token", "[MASK]", "<mask>"), self._id("eos_token"), self.pad_id)
        return next(number for number in found if number is not None)

    def id_or_unknown(self, token: str) -> int | None:
        return self.vocabulary[token] if token in self.vocabulary else self._id("unk_token", "[UNK]", "<unk>")

    def _id(self, name: str, *usual: str) -> int | None:
        value = self._names.get(name)
        value = value.get("content") if isinstance(value, dict) else value
        return next((self.vocabulary[token] for token in (value, *usual) if token in self.vocabulary), None)
