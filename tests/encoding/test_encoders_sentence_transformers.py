"""Checkpoints that sentence-transformers writes and reads, against its own encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import save_bert, save_colbert, save_modernbert
from write_pylate_checkpoints import FOLDER

from opensearch_multivector.encoding.encoders import load_encoder
from opensearch_multivector.encoding.encoders.base import Kind
from opensearch_multivector.errors import InputError

torch = pytest.importorskip("torch")
sentence_transformers = pytest.importorskip("sentence_transformers", minversion="6.0")

TEXTS = ["Sea otters.", "", "a otter? (b)", "sea otter " * 40, "...", "an otter in the sea"]


def save_multi_vector(folder: Path, base: Path, expansion: dict[str, Any] | None, **mask: Any) -> Any:
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    torch.manual_seed(5)
    options = {"query_expansion": expansion} if expansion else {"query_length": 11}
    modules = [
        Transformer(str(base), document_length=20, **options),
        Dense(16, 8, activation_function=torch.nn.SiLU(), module_input_name="token_embeddings"),
        MultiVectorMask(**mask),
        Normalize(module_input_name="token_embeddings"),
    ]
    model = MultiVectorEncoder(modules=modules, prompts={"query": "a b ", "document": "sea: "}, device="cpu")
    model.save(str(folder), create_model_card=False)
    return model


def assert_same(folder: Path, model: Any, texts: list[str] = TEXTS) -> None:
    encoder = load_encoder(str(folder), device="cpu")
    for kind in ("query", "document"):
        theirs = getattr(model, f"encode_{kind}")(texts, convert_to_numpy=True)
        for text, result, want in zip(texts, encoder.encode(texts, kind), theirs, strict=True):
            assert result.vectors.shape == want.shape, (kind, text)
            np.testing.assert_allclose(result.vectors, want, atol=1e-5)
            np.testing.assert_array_equal(result.offsets, encoder.offsets(text, kind))


@pytest.mark.parametrize(
    ("expansion", "mask"),
    [
        ({"strategy": "fixed", "length": 12}, {"skiplist_words": ["a", ".", "nowhere"]}),
        ({"strategy": "min", "length": 12, "attend": True, "token": "[UNK]"}, {}),
        (None, {"skiplist_words": ["otter"], "skiplist_tasks": ["query", "document"]}),
    ],
)
def test_multi_vector_encoders(tmp_path: Path, expansion: dict[str, Any] | None, mask: dict[str, Any]) -> None:
    save_bert(tmp_path / "bert")
    model = save_multi_vector(tmp_path / "saved", tmp_path / "bert", expansion, **mask)
    assert_same(tmp_path / "saved", model)


def test_multi_vector_encoders_over_modernbert(tmp_path: Path) -> None:
    save_modernbert(tmp_path / "modernbert")
    model = save_multi_vector(tmp_path / "saved", tmp_path / "modernbert", None)
    assert_same(tmp_path / "saved", model, [*TEXTS, " sea \n"])


def test_its_reading_of_pylates_checkpoints_agrees_with_ours() -> None:
    model = sentence_transformers.MultiVectorEncoder(str(FOLDER / "chain"), device="cpu")
    assert_same(FOLDER / "chain", model)


def test_its_reading_of_colberts_checkpoints_agrees_with_ours(tmp_path: Path) -> None:
    # It takes unknown punctuation out of the skiplist, where ColBERT skips the unknown token: no such text here.
    save_colbert(tmp_path, {"query_maxlen": 12, "doc_maxlen": 20})
    model = sentence_transformers.MultiVectorEncoder(str(tmp_path), device="cpu")
    assert_same(tmp_path, model, ["sea otters.", "", "sea otter " * 40, "...", "an otter in the sea"])


def save_one_vector(folder: Path, base: Path, **options: Any) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer

    torch.manual_seed(5)
    modules = [Transformer(str(base)), Pooling(16), Dense(16, 8)]
    model = SentenceTransformer(modules=modules, device="cpu", **options)
    model.save(str(folder), create_model_card=False)
    return model


@pytest.mark.parametrize(
    ("options", "prompts"),
    [
        ({}, ("", "")),
        ({"prompts": {"query": "a b ", "document": "sea: "}}, ("a b ", "sea: ")),
        # It saves empty prompts for queries and documents, which come before the default one.
        ({"prompts": {"task": "sea "}, "default_prompt_name": "task"}, ("", "")),
    ],
)
def test_a_dense_after_the_pooling_projects_the_pooled_vector_and_each_token(
    tmp_path: Path, options: dict[str, Any], prompts: tuple[str, str]
) -> None:
    bert = save_bert(tmp_path / "bert")
    model = save_one_vector(tmp_path / "saved", tmp_path / "bert", **options)
    encoder = load_encoder(str(tmp_path / "saved"), device="cpu")
    assert encoder.dim == 8
    kinds: tuple[Kind, Kind] = ("query", "document")
    for kind, prompt in zip(kinds, prompts, strict=True):
        theirs = getattr(model, f"encode_{kind}")(TEXTS, normalize_embeddings=True)
        for text, result, want in zip(TEXTS, encoder.encode(TEXTS, kind), theirs, strict=True):
            np.testing.assert_allclose(result.pooled, want, atol=1e-5)
            features = model.tokenizer([prompt + text], return_tensors="pt", truncation=True, max_length=64)
            with torch.inference_mode():
                tokens = torch.tanh(model[2].linear(bert(**features).last_hidden_state[0]))
            np.testing.assert_allclose(result.vectors, torch.nn.functional.normalize(tokens, dim=-1), atol=1e-5)
    spans = encoder.offsets("otter", "document")
    assert ["otter"[a:b] for a, b in spans if b] == ["otter"]


def test_image_token_masks_are_refused(tmp_path: Path) -> None:
    save_bert(tmp_path / "bert")
    save_multi_vector(tmp_path / "saved", tmp_path / "bert", None, keep_only_token_ids=[5])
    with pytest.raises(InputError, match="image tokens only"):
        load_encoder(str(tmp_path / "saved"))
