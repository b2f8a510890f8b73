"""Checkpoints that PyLate wrote, against the vectors that PyLate gave (`write_pylate_checkpoints.py`)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from write_pylate_checkpoints import FOLDER, TEXTS

from opensearch_multivector.encoding.encoders import load_encoder
from opensearch_multivector.encoding.encoders.base import Kind
from opensearch_multivector.errors import InputError

pytest.importorskip("torch")
pytest.importorskip("transformers")

NAMES = ["defaults", "chain", "no-expansion", "modernbert"]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER / "chain", tmp_path / "chain"))


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("kind", ["query", "document"])
@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_those_of_pylate(name: str, kind: Kind) -> None:
    encoder = load_encoder(str(FOLDER / name), device="cpu")
    expected = np.load(FOLDER / name / "expected.npz")
    for number, (text, result) in enumerate(zip(TEXTS, encoder.encode(TEXTS, kind), strict=True)):
        want = expected[f"{kind}-{number}"]
        assert result.vectors.shape == want.shape, text
        np.testing.assert_allclose(result.vectors, want, atol=1e-5)
        mean = want.mean(axis=0)
        assert result.pooled is not None
        np.testing.assert_allclose(result.pooled, mean / np.linalg.norm(mean), atol=1e-5)
        assert encoder.dim == want.shape[1]
        np.testing.assert_array_equal(result.offsets, encoder.offsets(text, kind))
        np.testing.assert_allclose(encoder.encode([text], kind)[0].vectors, result.vectors, atol=1e-5)


def test_offsets_know_marker_masks_prompt_and_skiplist() -> None:
    text = "  a! otter? b \n"

    def pieces(name: str, kind: Kind) -> list[str]:
        return [text[start:end] for start, end in load_encoder(str(FOLDER / name), device="cpu").offsets(text, kind)]

    assert pieces("defaults", "document") == ["", "", "a", "otter", "b", ""]
    assert pieces("chain", "document") == ["", "", "!", "otter", "?", "b", ""]
    assert pieces("chain", "query") == ["", "", "a", "!", "otter", "?", "b", "", ""]
    # A prompt is read before the blanks at the ends go: those before the text stay with it.
    letters = [" ", " ", "a", " ", "o", "t", "t", "e", "r", " ", "b"]
    assert "".join(pieces("no-expansion", "document")) == "".join(letters)


def test_lengths_are_the_checkpoints_or_the_callers() -> None:
    folder = str(FOLDER / "chain")
    encoder = load_encoder(folder, device="cpu")
    assert encoder.max_length == 14
    long = TEXTS[3]
    assert [len(encoder.encode([long], kind)[0].vectors) for kind in ("query", "document")] == [9, 14]
    assert encoder.encode([long], "query")[0].truncated
    other = load_encoder(folder, max_length=20, query_length=12, device="cpu")
    assert [len(other.encode([long], kind)[0].vectors) for kind in ("query", "document")] == [12, 20]
    # Documents of another length are other documents; a longer query meets the same ones.
    assert other.fingerprint == load_encoder(folder, max_length=20, device="cpu").fingerprint != encoder.fingerprint
    with pytest.raises(InputError, match="max_length 65"):
        load_encoder(folder, max_length=65)
    with pytest.raises(InputError, match="query_length 2 "):
        load_encoder(folder, query_length=2)


def test_a_dynamic_query_is_filled_up_instead_of_cut() -> None:
    encoder = load_encoder(str(FOLDER / "chain"), query_length="dynamic", device="cpu")
    fixed = load_encoder(str(FOLDER / "chain"), device="cpu")
    assert encoder.fingerprint == fixed.fingerprint
    for text, length in [("sea", 9), ("sea otter sea otter sea otter", 9), ("sea otter sea otter sea otter sea", 18)]:
        result = encoder.encode([text], "query")[0]
        assert len(result.vectors) == length
        assert not result.truncated
    short = ["sea", "otter a"]
    for ours, theirs in zip(encoder.encode(short, "query"), fixed.encode(short, "query"), strict=True):
        np.testing.assert_allclose(ours.vectors, theirs.vectors, atol=1e-6)
    # The model has 64 positions: seven nines fit.
    assert len(encoder.encode(["sea " * 100], "query")[0].vectors) == 63
    with pytest.raises(InputError, match="give a number"):
        load_encoder(str(FOLDER / "no-expansion"), query_length="dynamic")


def test_what_decides_vectors_changes_the_fingerprint(copied: Path) -> None:
    first = load_encoder(str(copied), device="cpu").fingerprint
    assert first == load_encoder(str(FOLDER / "chain"), device="cpu").fingerprint
    settings = copied / "config_sentence_transformers.json"
    for values in ({"skiplist_words": ["a"]}, {"document_prefix": "a"}, {"attend_to_expansion_tokens": False}):
        original = settings.read_text()
        change(settings, **values)
        assert load_encoder(str(copied), device="cpu").fingerprint != first
        settings.write_text(original)
    change(copied / "2_Dense" / "config.json", activation_function="torch.nn.modules.activation.ReLU")
    assert load_encoder(str(copied), device="cpu").fingerprint != first
    shutil.copy(FOLDER / "chain" / "2_Dense" / "config.json", copied / "2_Dense" / "config.json")
    shutil.copy(copied / "3_Dense" / "model.safetensors", copied / "2_Dense" / "model.safetensors")
    with pytest.raises(InputError, match="without its weights"):
        load_encoder(str(copied), device="cpu")


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("2_Dense/config.json", {"activation_function": "os.getcwd"}, "none of torch.nn's"),
        ("2_Dense/config.json", {"activation_function": "torch.nn.functional.gelu"}, "none of torch.nn's"),
        ("2_Dense/config.json", {"module_input_name": "pixels"}, "'pixels'"),
    ],
)
def test_what_cannot_be_applied_is_refused(copied: Path, file: str, values: dict[str, object], message: str) -> None:
    change(copied / file, **values)
    with pytest.raises(InputError, match=message):
        load_encoder(str(copied), device="cpu")


def test_unknown_modules_and_orders_are_refused(copied: Path) -> None:
    modules = json.loads((copied / "modules.json").read_text())
    for extra, message in [
        ({"type": "pylate.models.Router", "path": "4_Router"}, "Router"),
        ({"type": "sentence_transformers.multi_vector_encoder.modules.TokenPooling", "path": ""}, "TokenPooling"),
    ]:
        (copied / "modules.json").write_text(json.dumps([*modules, extra]))
        with pytest.raises(InputError, match=f"{message}, which this release can't apply"):
            load_encoder(str(copied))
    normalize = {"type": "sentence_transformers.models.Normalize", "path": "1_Normalize"}
    (copied / "modules.json").write_text(json.dumps([modules[0], normalize, *modules[1:]]))
    with pytest.raises(InputError, match="before a Dense"):
        load_encoder(str(copied))
    (copied / "modules.json").write_text(json.dumps(modules))
    (copied / "3_Dense" / "model.safetensors").unlink()
    with pytest.raises(InputError, match="3_Dense holds no model"):
        load_encoder(str(copied))
    (copied / "modules.json").write_text("{}")
    with pytest.raises(InputError, match="lists no modules"):
        load_encoder(str(copied))


def test_a_marker_without_a_token_is_refused(copied: Path) -> None:
    change(copied / "config_sentence_transformers.json", query_prefix="[Nowhere]")
    tokenizer = json.loads((copied / "tokenizer.json").read_text())
    (copied / "tokenizer_config.json").unlink()
    del tokenizer["model"]["vocab"]["[UNK]"]
    tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if token["content"] != "[UNK]"]
    tokenizer["model"]["vocab"]["[unknown]"] = 1
    tokenizer["model"]["unk_token"] = "[unknown]"
    (copied / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(InputError, match=r"marks texts with '\[Nowhere\]'"):
        load_encoder(str(copied))
