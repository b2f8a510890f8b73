"""An image as a part of a query, beside a text."""

from __future__ import annotations

import base64
import io
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from console_visit import ARTICLES, Visit
from opensearchpy import OpenSearch
from tiny_visual import save_colpali

from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.encoding.encoders import load_image_encoder
from opensearch_multivector.plugin.fields import EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import index_body

pytestmark = pytest.mark.integration
PICTURES = f"{ARTICLES}-pictures"
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


@pytest.fixture
def pictures(client: OpenSearch, service: str, tmp_path: Path) -> Iterator[dict[str, bytes]]:
    """An index of pictures, once the service knows of it; these as PNG."""
    images = pytest.importorskip("PIL.Image", reason="wants the extra images")
    made = {name: images.new("RGB", (28, 28), colour) for name, colour in COLOURS.items()}
    save_colpali(tmp_path / "colpali")
    encoder = load_image_encoder(str(tmp_path / "colpali"))
    encoded = encoder.encode_images(list(made.values()))
    spec = FieldSpec("mv", encoder.dim, "f32", EncoderRef(encoder.name, encoder.fingerprint))
    client.indices.delete(index=PICTURES, ignore_unavailable=True)
    client.indices.create(index=PICTURES, body=index_body(spec))
    lines: list[dict[str, Any]] = []
    for name, one in zip(made, encoded, strict=True):
        assert one.pooled is not None
        blob = base64.b64encode(encode_blob(one.vectors, "f32")).decode()
        lines += [{"index": {"_id": name}}, {"title": name, "mv.vectors": blob, "mv.dense": one.pooled.tolist()}]
    assert not client.bulk(index=PICTURES, body=lines, params={"refresh": "true"})["errors"]
    wait_until_known(service)
    yield {name: png(image) for name, image in made.items()}
    client.indices.delete(index=PICTURES)


def wait_until_known(service: str) -> None:
    """What it read of the cluster before serves all who ask within five seconds."""
    for _ in range(100):
        with urllib.request.urlopen(f"{service}/fields", timeout=10) as answer:
            if PICTURES in {each["index"] for each in json.load(answer)["fields"]}:
                return
        time.sleep(0.2)
    pytest.fail(f"the service does not name {PICTURES}")


def png(image: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def test_an_image_beside_a_text(visit: Callable[..., Visit], pictures: dict[str, bytes]) -> None:
    here = visit()
    here.open()
    page = here.page
    assert page.locator("button.add:has-text('Image')").count() == 0, "the encoder of the articles takes none"
    page.select_option("#where", label=f"{PICTURES} · mv")
    page.fill("#query-0", "red")
    page.click("button.add:has-text('Image')")
    page.set_input_files("#query-1", {"name": "no.png", "mimeType": "image/png", "buffer": b"<svg onload=alert(1)>"})
    page.wait_for_selector("text=This is no image that can be read")
    page.set_input_files("#query-1", {"name": "<b>.png", "mimeType": "image/png", "buffer": pictures["green"]})
    page.wait_for_selector(".picture >> text=<b>.png")
    painted = page.evaluate("[...document.querySelector('canvas').getContext('2d').getImageData(56, 42, 1, 1).data]")
    assert painted[:3] == pytest.approx(COLOURS["green"], abs=3)
    page.focus("#query-0")
    answer = here.search()
    assert [(part["kind"], part["text"]) for part in answer["parts"]] == [("text", "red"), ("image", None)]
    assert len(answer["hits"]) == len(COLOURS)
    assert page.locator("#heat-map rect.cell").count() > 0
    here.keep("pictures-light")
