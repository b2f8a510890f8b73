from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoints import VOCABULARY, save_bert, save_sentence_transformers_files, save_tokenizer

from opensearch_multivector.encoding.encoders import load_encoder, load_term_encoder
from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.errors import InputError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

TEXTS = ["Sea otters.", "a", "an otter in the sea " * 3, "", "zebra!", "sea otter " * 2]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object]:
    folder = tmp_path_factory.mktemp("bert")
    return folder, save_bert(folder)


@pytest.fixture(scope="module")
def encoder(checkpoint: tuple[Path, object]) -> Encoder:
    return load_encoder(str(checkpoint[0]), device="cpu")


def hidden_states(folder: Path, model: object, text: str, max_length: int = 64) -> np.ndarray:
    """The last hidden state as transformers gives it for one text alone."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    inputs = tokenizer([text], return_tensors="pt", truncation=True, max_length=max_length)
    with torch.inference_mode():
        return model(**inputs).last_hidden_state[0].numpy()  # type: ignore[operator, no-any-return]


def test_vectors_are_the_models_hidden_states_as_unit_vectors(
    checkpoint: tuple[Path, object], encoder: Encoder
) -> None:
    folder, model = checkpoint
    for text, result in zip(TEXTS, encoder.encode(TEXTS, "document"), strict=True):
        hidden = hidden_states(folder, model, text)
        np.testing.assert_allclose(result.vectors, hidden / np.linalg.norm(hidden, axis=1, keepdims=True), atol=1e-5)
        mean = hidden.mean(axis=0)
        assert result.pooled is not None
        np.testing.assert_allclose(result.pooled, mean / np.linalg.norm(mean), atol=1e-5)
        assert result.vectors.dtype == result.pooled.dtype == np.float32
        assert encoder.dim == result.vectors.shape[1] == 16


def test_a_text_gives_the_same_vectors_whatever_is_in_the_batch(encoder: Encoder) -> None:
    together = encoder.encode(TEXTS, "document")
    for text, result in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(result.vectors, encoder.encode([text], "document")[0].vectors, atol=1e-5)


def test_results_do_not_hold_the_whole_batch_in_memory(encoder: Encoder) -> None:
    result = encoder.encode(TEXTS, "document")[1]
    assert result.vectors.base is None or result.vectors.base.size == result.vectors.size


def test_offsets_slice_the_text_and_are_known_without_the_model(encoder: Encoder) -> None:
    text = "Sea otters; a."
    offsets = encoder.offsets(text, "query")
    assert [text[start:end] for start, end in offsets] == ["", "Sea", "otter", "s", ";", "a", ".", ""]
    result = encoder.encode([text], "query")[0]
    assert result.offsets is not None
    assert result.offsets.dtype == np.int32
    np.testing.assert_array_equal(result.offsets, offsets)


def test_what_is_beyond_the_limit_is_cut_and_said(checkpoint: tuple[Path, object]) -> None:
    encoder = load_encoder(str(checkpoint[0]), max_length=8, device="cpu")
    short, exact, long = encoder.encode(["a b", "a b c d e f", "a b c d e f g"], "document")
    assert [len(one.vectors) for one in (short, exact, long)] == [4, 8, 8]
    assert [one.truncated for one in (short, exact, long)] == [False, False, True]
    np.testing.assert_allclose(long.vectors, exact.vectors, atol=1e-5)
    assert len(encoder.offsets("a b c d e f g", "document")) == 8


def test_a_huge_text_is_the_same_as_its_beginning(encoder: Encoder) -> None:
    words = "sea otter " * 1_000_000
    huge, begin = encoder.encode([words, words[:5000]], "document")
    assert huge.truncated
    np.testing.assert_allclose(huge.vectors, begin.vectors, atol=1e-5)
    blanks = " " * 100_000 + "sea"
    assert [blanks[a:b] for a, b in encoder.offsets(blanks, "document")] == ["", "sea", ""]


def test_half_a_surrogate_pair_is_no_crash(encoder: Encoder) -> None:
    text = "\ud83d sea"
    assert [text[a:b] for a, b in encoder.offsets(text, "query")][-2:] == ["sea", ""]


def test_no_texts(encoder: Encoder) -> None:
    assert encoder.encode([], "document") == []


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, lambda hidden: hidden[0]),
        ({"pooling_mode_mean_tokens": True}, lambda hidden: hidden.mean(axis=0)),
        ({"pooling_mode_max_tokens": True}, lambda hidden: hidden.max(axis=0)),
        ({"pooling_mode_lasttoken": True}, lambda hidden: hidden[-1]),
        ({"pooling_mode_weightedmean_tokens": True}, lambda hidden: np.average(hidden, axis=0, weights=range(1, 6))),
        ({"pooling_mode": "cls"}, lambda hidden: hidden[0]),
    ],
)
def test_sentence_transformers_settings_are_followed(tmp_path: Path, pooling: dict, expected: object) -> None:
    model = save_bert(tmp_path)
    save_sentence_transformers_files(tmp_path, pooling, max_seq_length=5)
    encoder = load_encoder(str(tmp_path), device="cpu")
    assert encoder.max_length == 5
    pooled = encoder.encode(["sea otter sea otter"], "document")[0].pooled
    want = expected(hidden_states(tmp_path, model, "sea otter sea otter", 5))  # type: ignore[operator]
    assert pooled is not None
    np.testing.assert_allclose(pooled, want / np.linalg.norm(want), atol=1e-5)


def test_the_fingerprint_changes_with_all_that_decides_vectors_and_nothing_else(tmp_path: Path) -> None:
    save_bert(tmp_path / "one")
    first = load_encoder(str(tmp_path / "one"), device="cpu").fingerprint
    assert len(first) == 16
    (tmp_path / "one").rename(tmp_path / "moved")
    tokenizer = json.loads((tmp_path / "moved" / "tokenizer.json").read_text())
    tokenizer["padding"], tokenizer["truncation"] = None, None
    (tmp_path / "moved" / "tokenizer.json").write_text(json.dumps(tokenizer, indent=3))
    assert load_encoder(str(tmp_path / "moved"), device="cpu").fingerprint == first
    assert load_encoder(str(tmp_path / "moved"), max_length=8, device="cpu").fingerprint != first
    tokenizer["normalizer"]["lowercase"] = False
    (tmp_path / "moved" / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert load_encoder(str(tmp_path / "moved"), device="cpu").fingerprint != first
    save_bert(tmp_path / "other", layer_norm_eps=1e-3)
    assert load_encoder(str(tmp_path / "other"), device="cpu").fingerprint != first


def test_a_broken_or_foreign_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no model"):
        load_encoder(str(tmp_path))
    save_bert(tmp_path / "bert")
    with pytest.raises(InputError, match="another kind of model"):
        load_term_encoder(str(tmp_path / "bert"), device="cpu")
    (tmp_path / "bert" / "modules.json").write_text(
        json.dumps([{"type": "sentence_transformers.models.LSTM", "path": "1_LSTM"}])
    )
    with pytest.raises(InputError, match="LSTM"):
        load_encoder(str(tmp_path / "bert"))
    (tmp_path / "bert" / "modules.json").unlink()
    (tmp_path / "bert" / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer"):
        load_encoder(str(tmp_path / "bert"), device="cpu")
    save_tokenizer(tmp_path / "bert")
    (tmp_path / "bert" / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(InputError, match="can't load"):
        load_encoder(str(tmp_path / "bert"), device="cpu")


@pytest.mark.parametrize("length", [0, 2, 65])
def test_an_impossible_length_is_refused(checkpoint: tuple[Path, object], length: int) -> None:
    with pytest.raises(InputError, match="max_length"):
        load_encoder(str(checkpoint[0]), max_length=length, device="cpu")


def test_term_weights_are_the_top_of_the_models_logits(tmp_path: Path) -> None:
    model = save_bert(tmp_path, "BertForMaskedLM")
    encoder = load_term_encoder(str(tmp_path), k=7, device="cpu")
    assert list(encoder.vocabulary) == VOCABULARY
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    for text, terms in zip(TEXTS, encoder.encode_terms(TEXTS, "document"), strict=True):
        with torch.inference_mode():
            logits = model(**tokenizer([text], return_tensors="pt")).logits[0, 1:].numpy()
        weights = np.log1p(np.maximum(logits, 0))
        want = -np.sort(-weights, axis=1)[:, :7]
        assert terms.ids.dtype == np.int32
        assert terms.weights.dtype == np.float32
        np.testing.assert_allclose(terms.weights, want, atol=1e-5)
        np.testing.assert_allclose(np.take_along_axis(weights, terms.ids, axis=1), want, atol=1e-5)


def test_term_count_is_bounded_by_the_vocabulary(tmp_path: Path) -> None:
    save_bert(tmp_path, "BertForMaskedLM")
    assert load_term_encoder(str(tmp_path), k=3).fingerprint != load_term_encoder(str(tmp_path), k=4).fingerprint
    for k in (0, len(VOCABULARY) + 1):
        with pytest.raises(InputError, match="between 1 and"):
            load_term_encoder(str(tmp_path), k=k)


def test_many_are_loaded_at_once(tmp_path: Path) -> None:
    """In threads, as searchers do: transformers by itself would leave its classes unfit for all that comes later."""
    import transformers

    tie_weights = transformers.PreTrainedModel.tie_weights
    save_bert(tmp_path, "BertForMaskedLM")
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: load_term_encoder(str(tmp_path), device="cpu", k=3), range(16)))
    assert len({encoder.fingerprint for encoder in loaded}) == 1
    assert transformers.PreTrainedModel.tie_weights is tie_weights
