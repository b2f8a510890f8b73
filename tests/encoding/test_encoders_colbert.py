"""Checkpoints in ColBERT's own layout, against its formulas in plain torch (Khattab & Zaharia 2020, section 3.2)."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import save_bert, save_colbert

from opensearch_multivector.encoding.encoders import load_encoder
from opensearch_multivector.encoding.encoders.base import Kind
from opensearch_multivector.errors import InputError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

TEXTS = ["Sea otters.", "", "otter? (b) [UNK]!", "sea otter " * 40, "...", "an otter in the sea"]


def reference(folder: Path, model: Any, text: str, kind: Kind, settings: dict[str, Any]) -> np.ndarray:
    """norm(W BERT([CLS] [marker] text [SEP] [MASK]...)), punctuation of documents left out, for one text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    query = kind == "query"
    length = settings.get("query_maxlen", 32) if query else settings.get("doc_maxlen", 220)
    ids = tokenizer(text, truncation=True, max_length=length - 1)["input_ids"]
    marker = settings.get("query_token_id" if query else "doc_token_id", "[unused0]" if query else "[unused1]")
    ids = [ids[0], tokenizer.convert_tokens_to_ids(marker), *ids[1:]]
    attention = [1] * len(ids)
    if query:
        masks = length - len(ids)
        ids += [tokenizer.mask_token_id] * masks
        attention += [int(settings.get("attend_to_mask_tokens", False))] * masks
    with torch.inference_mode():
        hidden = model(torch.tensor([ids]), attention_mask=torch.tensor([attention])).last_hidden_state[0]
        vectors = torch.nn.functional.normalize(hidden @ weight(folder).T, dim=-1).numpy()
    if query or not settings.get("mask_punctuation", True):
        return vectors  # type: ignore[no-any-return]
    signs = {tokenizer.encode(sign, add_special_tokens=False)[0] for sign in string.punctuation}
    return vectors[[number not in signs for number in ids]]  # type: ignore[no-any-return]


def weight(folder: Path) -> Any:
    from safetensors.torch import load_file

    if (folder / "model.safetensors").is_file():
        return load_file(folder / "model.safetensors")["linear.weight"]
    return torch.load(folder / "pytorch_model.bin")["linear.weight"]


SETTINGS: list[dict[str, Any]] = [
    {"query_maxlen": 12, "doc_maxlen": 20},
    {"query_maxlen": 10, "doc_maxlen": 30, "attend_to_mask_tokens": True, "mask_punctuation": False},
    {"query_maxlen": 32, "query_token_id": "sea", "doc_token_id": "[unused0]"},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_vectors_are_colberts_formula(tmp_path: Path, settings: dict[str, Any], suffix: str) -> None:
    model = save_colbert(tmp_path, settings, suffix)
    encoder = load_encoder(str(tmp_path), device="cpu")
    # BERT has 64 positions here, which bounds the usual 220.
    settings = settings | {"doc_maxlen": min(settings.get("doc_maxlen", 220), 64)}
    assert encoder.dim == 8
    assert encoder.max_length == settings["doc_maxlen"]
    for kind in ("query", "document"):
        for text, result in zip(TEXTS, encoder.encode(TEXTS, kind), strict=True):
            want = reference(tmp_path, model, text, kind, settings)
            assert result.vectors.shape == want.shape, (kind, text)
            np.testing.assert_allclose(result.vectors, want, atol=1e-5)
            np.testing.assert_array_equal(result.offsets, encoder.offsets(text, kind))
            mean = want.mean(axis=0)
            np.testing.assert_allclose(result.pooled, mean / np.linalg.norm(mean), atol=1e-5)


def test_punctuation_is_read_but_gives_no_vector(tmp_path: Path) -> None:
    save_colbert(tmp_path, SETTINGS[0])
    encoder = load_encoder(str(tmp_path), device="cpu")
    text = "sea. otter"
    assert [text[a:b] for a, b in encoder.offsets(text, "document")] == ["", "", "sea", "otter", ""]
    assert [text[a:b] for a, b in encoder.offsets(text, "query")][:6] == ["", "", "sea", ".", "otter", ""]
    with_stop, without = (encoder.encode([each], "document")[0].vectors for each in (text, "sea otter"))
    assert with_stop.shape == without.shape
    assert np.abs(with_stop - without).max() > 1e-3


def test_the_projection_alone_tells_a_colbert_checkpoint(tmp_path: Path) -> None:
    save_colbert(tmp_path, {}, architecture="BertModel")
    (tmp_path / "artifact.metadata").unlink()
    encoder = load_encoder(str(tmp_path), device="cpu")
    assert encoder.dim == 8
    assert len(encoder.encode(["sea"], "query")[0].vectors) == 32


def test_a_dynamic_query_keeps_all_its_words(tmp_path: Path) -> None:
    save_colbert(tmp_path, {"query_maxlen": 16})
    encoder = load_encoder(str(tmp_path), query_length="dynamic", device="cpu")
    lengths = [len(encoder.encode(["sea " * n], "query")[0].vectors) for n in (1, 13, 14, 29, 30, 61, 100)]
    assert lengths == [16, 16, 32, 32, 48, 64, 64]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    save_bert(tmp_path / "bert")
    config = json.loads((tmp_path / "bert" / "config.json").read_text())
    (tmp_path / "bert" / "config.json").write_text(json.dumps(config | {"architectures": ["HF_ColBERT"]}))
    with pytest.raises(InputError, match=r"holds no linear\.weight"):
        load_encoder(str(tmp_path / "bert"), device="cpu")
    save_colbert(tmp_path / "colbert", {})
    (tmp_path / "colbert" / "artifact.metadata").write_text("[]")
    with pytest.raises(InputError, match=r"artifact\.metadata holds no JSON object"):
        load_encoder(str(tmp_path / "colbert"), device="cpu")


def test_the_fingerprint_covers_projection_and_metadata(tmp_path: Path) -> None:
    seen = set()
    for settings in [*SETTINGS, {"query_maxlen": 12, "doc_maxlen": 21}]:
        save_colbert(tmp_path, settings)
        seen.add(load_encoder(str(tmp_path), device="cpu").fingerprint)
    save_colbert(tmp_path, SETTINGS[0], seed=5)
    seen.add(load_encoder(str(tmp_path), device="cpu").fingerprint)
    assert len(seen) == 5
