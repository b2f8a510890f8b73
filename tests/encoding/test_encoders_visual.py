"""ColPali and ColQwen2, against their transformers classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import save_bert
from tiny_visual import save_colpali, save_colqwen2

from opensearch_multivector.encoding.encoders import load_encoder, load_image_encoder
from opensearch_multivector.encoding.encoders.base import ImageEncoder
from opensearch_multivector.errors import InputError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
Image = pytest.importorskip("PIL.Image")

QUERIES = ["ab?", "", "a long query: is it cut?", "bos <bos>"]


@pytest.fixture(scope="module", params=[save_colpali, save_colqwen2], ids=["colpali", "colqwen2"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, ImageEncoder]:
    folder = tmp_path_factory.mktemp("visual")
    model, processor = request.param(folder)
    return model, processor, load_image_encoder(str(folder), device="cpu")


@pytest.fixture(scope="module")
def images() -> list[Any]:
    noise = np.random.default_rng(0)
    sizes = [(40, 30, 3), (60, 30, 3), (28, 56), (30, 30, 4)]
    return [Image.fromarray(noise.integers(0, 255, size, dtype=np.uint8)) for size in sizes]


def test_images_give_the_models_embeddings(
    loaded: tuple[Any, Any, ImageEncoder], images: list[Any], tmp_path: Path
) -> None:
    model, processor, encoder = loaded
    for number, image in enumerate(images):
        image.save(tmp_path / f"{number}.png")
    results = encoder.encode_images(images)
    from_files = encoder.encode_images([tmp_path / "0.png", str(tmp_path / "1.png")])
    for image, result in zip(images, results, strict=True):
        with torch.inference_mode():
            want = model(**processor(images=[image.convert("RGB")])).embeddings[0].numpy()
        np.testing.assert_allclose(result.vectors, want, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(result.vectors, axis=1), 1, atol=1e-5)
        mean = want.mean(axis=0)
        np.testing.assert_allclose(result.pooled, mean / np.linalg.norm(mean), atol=1e-5)
        assert result.vectors.shape[1] == encoder.dim == 8
    for ours, theirs in zip(from_files, results, strict=False):
        np.testing.assert_array_equal(ours.vectors, theirs.vectors)


def test_queries_give_the_models_embeddings(loaded: tuple[Any, Any, ImageEncoder]) -> None:
    model, processor, encoder = loaded
    for text, result in zip(QUERIES, encoder.encode(QUERIES, "query"), strict=True):
        with torch.inference_mode():
            want = model(**processor(text=[text])).embeddings[0].numpy()
        np.testing.assert_allclose(result.vectors, want, atol=1e-5)
        assert result.offsets is not None
        assert len(result.offsets) == len(result.vectors)
        np.testing.assert_array_equal(result.offsets, encoder.offsets(text, "query"))
        assert "".join(text[start:end] for start, end in result.offsets) == text


def test_what_is_no_image_or_no_query_is_refused(loaded: tuple[Any, Any, ImageEncoder], tmp_path: Path) -> None:
    _, _, encoder = loaded
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(InputError, match=r"text\.png can't be read as an image"):
        encoder.encode_images([tmp_path / "text.png"])
    with pytest.raises(InputError, match=r"absent\.png can't be read"):
        encoder.encode_images([tmp_path / "absent.png"])
    with pytest.raises(InputError, match="are images"):
        encoder.encode(["a"], "document")


def test_the_fingerprint_covers_the_processor(tmp_path: Path) -> None:
    save_colpali(tmp_path)
    first = load_encoder(str(tmp_path), device="cpu").fingerprint
    path = tmp_path / "processor_config.json"
    assert '"Question: "' in path.read_text()
    path.write_text(path.read_text().replace('"Question: "', '"query: "'))
    assert load_encoder(str(tmp_path), device="cpu").fingerprint != first


def test_lengths_and_text_models_are_refused(tmp_path: Path) -> None:
    save_colpali(tmp_path / "colpali")
    with pytest.raises(InputError, match="no lengths to set"):
        load_encoder(str(tmp_path / "colpali"), max_length=10)
    save_bert(tmp_path / "bert")
    with pytest.raises(InputError, match="takes texts only"):
        load_image_encoder(str(tmp_path / "bert"), device="cpu")
