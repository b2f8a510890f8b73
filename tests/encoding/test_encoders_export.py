"""Exported graphs, against the checkpoints that they come from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoints import save_bert, save_colbert
from typer.testing import CliRunner
from write_pylate_checkpoints import FOLDER, TEXTS

from opensearch_multivector.cli.main import app
from opensearch_multivector.encoding.encoders import checkpoints, load_encoder
from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.encoding.encoders.export import export_encoder
from opensearch_multivector.errors import InputError, MissingDependencyError

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def checkpoint(name: str, folder: Path) -> Path:
    if name == "colbert":
        save_colbert(folder, {"query_maxlen": 12, "doc_maxlen": 20})
    elif name == "bert":
        save_bert(folder)
    else:
        return FOLDER / name
    return folder


@pytest.fixture(scope="module")
def chain() -> Encoder:
    return load_encoder(str(FOLDER / "chain"), device="cpu")


@pytest.mark.parametrize("name", ["bert", "colbert", "chain", "no-expansion", "modernbert"])
def test_a_graph_gives_the_checkpoints_vectors_and_is_the_same_encoder(name: str, tmp_path: Path) -> None:
    encoder = load_encoder(str(checkpoint(name, tmp_path / "checkpoint")), device="cpu")
    written = export_encoder(encoder, tmp_path / "out")
    assert written.cosine > 1 - 1e-5
    exported = load_encoder(str(tmp_path / "out"))
    assert exported.fingerprint == written.fingerprint == encoder.fingerprint
    assert (exported.dim, exported.max_length) == (encoder.dim, encoder.max_length)
    for kind in ("query", "document"):
        for ours, theirs in zip(exported.encode(TEXTS, kind), encoder.encode(TEXTS, kind), strict=True):
            np.testing.assert_allclose(ours.vectors, theirs.vectors, atol=1e-5)
            np.testing.assert_allclose(ours.pooled, theirs.pooled, atol=1e-5)
            np.testing.assert_array_equal(ours.offsets, theirs.offsets)
            assert ours.truncated == theirs.truncated


def test_int8_is_close_and_an_encoder_of_its_own(chain: Encoder, tmp_path: Path) -> None:
    written = export_encoder(chain, tmp_path / "out", int8=True)
    assert 0.9 < written.cosine < 1 - 1e-6
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [
        "model.onnx",
        "osmv_encoder.json",
        "tokenizer.json",
    ]
    exported = load_encoder(str(tmp_path / "out"))
    assert exported.fingerprint not in (chain.fingerprint, "")
    together = exported.encode(TEXTS, "document")
    for text, result in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(exported.encode([text], "document")[0].vectors, result.vectors, atol=1e-5)


def test_a_changed_graph_or_length_is_no_longer_the_same_encoder(chain: Encoder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_encoder(chain, out)
    assert load_encoder(str(out), max_length=9).fingerprint != chain.fingerprint
    assert load_encoder(str(out), query_length="dynamic").fingerprint == chain.fingerprint
    graph = bytearray((out / "model.onnx").read_bytes())
    at = graph.index(b"pytorch")
    graph[at : at + 7] = b"pYtorch"
    (out / "model.onnx").write_bytes(graph)
    assert load_encoder(str(out)).fingerprint != chain.fingerprint


def test_settings_of_another_release_and_foreign_graphs_are_refused(chain: Encoder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_encoder(chain, out)
    settings = json.loads((out / "osmv_encoder.json").read_text())
    for changed in (settings | {"format": 2}, settings | {"more": 1}, {"format": 1}):
        (out / "osmv_encoder.json").write_text(json.dumps(changed))
        with pytest.raises(InputError, match="export again"):
            load_encoder(str(out))
    foreign = shutil.copytree(FOLDER / "chain", tmp_path / "foreign")
    (foreign / "model.safetensors").unlink()
    shutil.copy(out / "model.onnx", foreign / "model.onnx")
    with pytest.raises(InputError, match=r"comes without osmv_encoder\.json"):
        load_encoder(str(foreign))


def test_what_cannot_be_exported_is_said(chain: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(InputError, match="in use"):
        export_encoder(chain, tmp_path / "used")
    export_encoder(chain, tmp_path / "out")
    with pytest.raises(InputError, match="only those can be exported"):
        export_encoder(load_encoder(str(tmp_path / "out")), tmp_path / "again")
    installed = checkpoints.installed
    monkeypatch.setattr(checkpoints, "installed", lambda module: module != "onnx" and installed(module))
    with pytest.raises(MissingDependencyError, match=r"opensearch-multivector\[export\]"):
        export_encoder(chain, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_command(tmp_path: Path) -> None:
    runner = CliRunner()
    name, out = str(FOLDER / "chain"), str(tmp_path / "out")
    done = runner.invoke(app, ["export", name, out, "--json", "--query-length", "dynamic"])
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert shown["folder"] == out
    assert shown["fingerprint"] == load_encoder(name, device="cpu").fingerprint
    assert len(load_encoder(out).encode(["sea " * 20], "query")[0].vectors) == 27
    done = runner.invoke(app, ["export", name, str(tmp_path / "int8"), "--int8", "--max-length", "12"])
    assert done.exit_code == 0, done.output
    assert "cosine" in done.stdout
    assert load_encoder(str(tmp_path / "int8")).max_length == 12
    for arguments, message in [([name, out], "in use"), ([name, out + "2", "--query-length", "many"], "'many'")]:
        failed = runner.invoke(app, ["export", *arguments])
        assert isinstance(failed.exception, InputError)
        assert failed.exception.exit_code == 2
        assert message in str(failed.exception)
