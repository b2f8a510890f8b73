"""Searches over HTTP: the same as `Searcher`'s, parts with weights, explanations."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from served import INDEX, Served, documents, reranked, until
from tiny_visual import save_colpali

from opensearch_multivector.encoding.codecs import decode_blob, encode_blob
from opensearch_multivector.encoding.encoders import MINILM_INT8, load_encoder
from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.indexing.attach.apply import attach
from opensearch_multivector.indexing.attach.wanted import Wanted
from opensearch_multivector.indexing.backfill import Filler
from opensearch_multivector.ops.service import encoders
from opensearch_multivector.plugin.attachments import SIDECAR, remove_attachment, sidecar_name
from opensearch_multivector.plugin.fields import EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import index_body
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

ALL = {"window_size": 100, "size": 60}


@pytest.fixture(scope="module")
def vectors(client: OpenSearch, articles: str) -> dict[str, np.ndarray]:
    """The stored token vectors of all documents."""
    body = {"size": 100, "_source": False, "docvalue_fields": ["mv.vectors"]}
    hits = client.search(index=articles, body=body)["hits"]["hits"]
    blobs = {hit["_id"]: hit["fields"]["mv.vectors"][0] for hit in hits}
    return {doc_id: decode_blob(base64.b64decode(text + "=" * (-len(text) % 4))) for doc_id, text in blobs.items()}


@pytest.fixture(scope="module")
def encoder() -> Any:
    return load_encoder(MINILM_INT8)


def query(encoder: Any, text: str) -> np.ndarray:
    (encoded,) = encoder.encode([text], "query")
    found: np.ndarray = encoded.vectors
    return found


def test_an_answer_is_the_searchers(client: OpenSearch, service: Served) -> None:
    text = "animals that travel far"
    for first_stage, rerank in (("dense", "auto"), ("bm25+dense", "client"), ("bm25", None)):
        expected = Searcher(client, INDEX).search(text, first_stage=first_stage, rerank=rerank, explain=True, size=5)
        told = service.search(query=text, first_stage=first_stage, rerank=rerank, explain=True, size=5)
        assert [hit["doc_id"] for hit in told["hits"]] == [hit.doc_id for hit in expected.hits]
        np.testing.assert_allclose([hit["score"] for hit in told["hits"]], [hit.score for hit in expected.hits], 1e-6)
        assert [hit["source"] for hit in told["hits"]] == [hit.source for hit in expected.hits]
        for hit, of_searcher in zip(told["hits"], expected.hits, strict=True):
            assert [match["document_token"] for match in hit["matches"]] == [
                match.document_token for match in of_searcher.matches or ()
            ]
            for match in hit["matches"]:
                if match["document_span"]:
                    start, end = match["document_span"]
                    assert hit["text"][start:end] == match["document_token"]
        assert (told["total"], told["candidates"]) == (expected.total, expected.candidates)


def test_stages_of_the_waterfall_follow_each_other(service: Served) -> None:
    told = service.search(query="bees", rerank="client", compare=True)
    stages = {stage["name"]: stage for stage in told["stages"]}
    assert {"queue", "encode", "first_stage", "rerank", "fetch", "compare"} <= stages.keys()
    assert stages["first_stage_took"]["within"] == "first_stage"
    ends = 0.0
    for stage in told["stages"]:
        if stage["within"] is None:
            assert stage["start"] >= ends - 1.0
            ends = stage["start"] + stage["duration"]
    assert ends <= told["took_ms"] + 1.0


def test_compare_shows_the_first_stages_own_order(client: OpenSearch, service: Served) -> None:
    asked = {"query": "animals that hunt at night", "first_stage": "dense", "size": 8}
    alone = Searcher(client, INDEX).search(asked["query"], first_stage="dense", rerank=None, size=60)
    told = service.search(**asked, compare=True)
    first = told["first_stage_hits"]
    assert [hit["doc_id"] for hit in first] == [hit.doc_id for hit in alone.hits[:8]]
    assert all(hit["text"] for hit in first)
    places = {hit.doc_id: place for place, hit in enumerate(alone.hits, 1)}
    assert [hit["first_stage_rank"] for hit in told["hits"]] == [places[hit["doc_id"]] for hit in told["hits"]]
    final = {hit["doc_id"]: hit["rank"] for hit in told["hits"]}
    assert [hit["final_rank"] for hit in first] == [final.get(hit["doc_id"]) for hit in first]


@pytest.mark.parametrize("rerank", ["auto", "client"])
@pytest.mark.parametrize("weights", [(1.0, 0.5), (2.0, -0.7), (0.4, -1.5)])
def test_parts_add_up_with_their_weights(
    service: Served, encoder: Any, vectors: dict[str, np.ndarray], weights: tuple[float, float], rerank: str
) -> None:
    texts = ("animals that cross the ocean", "eels")
    told = service.search(
        parts=[{"text": text, "weight": weight} for text, weight in zip(texts, weights, strict=True)],
        rerank=rerank,
        explain=True,
        **ALL,
    )
    of_parts = {
        doc_id: [maxsim(query(encoder, text), document) for text in texts] for doc_id, document in vectors.items()
    }
    scores = {doc_id: float(np.dot(weights, each)) for doc_id, each in of_parts.items()}
    assert {hit["doc_id"] for hit in told["hits"]} == scores.keys()
    found = [hit["score"] for hit in told["hits"]]
    assert found == sorted(found, reverse=True)
    for hit in told["hits"]:
        assert hit["score"] == pytest.approx(scores[hit["doc_id"]], abs=2e-3)
        assert hit["part_scores"] == pytest.approx(of_parts[hit["doc_id"]], abs=2e-3)
        assert sum(match["contribution"] for match in hit["matches"]) == pytest.approx(hit["score"], abs=4e-3)
    assert {match["query_token"] for match in told["hits"][0]["matches"] if match["part"] == 0} >= {"animals", "ocean"}


def test_less_like_this_moves_what_is_like_it_down(service: Served) -> None:
    liked = {"text": "animals that cross the ocean"}
    plain = [hit["doc_id"] for hit in service.search(parts=[liked], **ALL)["hits"]]
    found = service.search(query="eels", **ALL)["hits"]
    eels = next(hit["doc_id"] for hit in found if hit["text"] == "eels eels cross an ocean to spawn")
    less = service.search(parts=[liked, {"text": "eels cross an ocean to spawn", "weight": -1}], size=60, explain=False)
    moved = [hit["doc_id"] for hit in less["hits"]]
    assert "negative" in {stage["name"] for stage in less["stages"]}
    assert moved.index(eels) > plain.index(eels)
    second = service.search(parts=[liked, {"text": "eels cross an ocean to spawn", "weight": -1}], size=5, offset=5)
    assert [hit["doc_id"] for hit in second["hits"]] == moved[5:10]
    assert [hit["rank"] for hit in second["hits"]] == [6, 7, 8, 9, 10]


def test_parts_that_make_no_sense_are_refused(service: Served) -> None:
    for parts in (
        [],
        [{"text": "a", "weight": -1}],
        [{"text": "a", "weight": 0}],
        [{"text": "a", "image": "aa"}],
        [{}],
        [{"text": "  "}],
        [{"text": "a"}] * 9,
        [{"text": "a", "weight": 11}],
        [{"image": base64.b64encode(b"no image").decode()}],
        [{"image": png(4, 4)}],  # the index's encoder takes texts only
    ):
        answer = service.post("/search", {"index": INDEX, "parts": parts})
        assert answer.status_code == 400, (parts, answer.text)
        assert answer.json()["error"]["code"] == "bad_request"
    less = {"index": INDEX, "parts": [{"text": "a"}, {"text": "b", "weight": -1}], "rerank": None}
    assert "need a rerank" in service.post("/search", less).json()["error"]["message"]


def test_explain_has_every_similarity(service: Served, encoder: Any, vectors: dict[str, np.ndarray]) -> None:
    parts = [{"text": "far travel"}, {"text": "ants", "weight": -0.5}]
    told = service.post("/explain", {"index": INDEX, "doc_id": "d18", "parts": parts}).json()
    stacked = np.concatenate([query(encoder, "far travel"), query(encoder, "ants")])
    expected = stacked @ vectors["d18"].T
    np.testing.assert_allclose(told["matrix"], expected, atol=2e-4)
    assert len(told["query_tokens"]) == len(stacked)
    assert len(told["document_tokens"]) == len(vectors["d18"])
    for token in told["document_tokens"]:
        if token["span"]:
            assert told["text"][slice(*token["span"])] == token["token"]
    best = [told["document_tokens"][place]["token"] for place in expected.argmax(axis=1)]
    assert [match["document_token"] for match in told["matches"]] == best
    found = service.search(parts=parts, **ALL)["hits"]
    assert told["score"] == pytest.approx(next(hit["score"] for hit in found if hit["doc_id"] == "d18"), abs=2e-3)
    assert service.post("/explain", {"index": INDEX, "doc_id": "none", "query": "a"}).status_code == 404
    without = service.post("/explain", {"index": INDEX, "doc_id": "d18", "query": "ants", "matrix": False}).json()
    assert without["matrix"] is None


def test_several_searches_are_answered_each_for_itself(service: Served) -> None:
    searches = [{"index": INDEX, "query": "bees"}, {"index": "there-is-none", "query": "bees"}] * 3
    answers = service.post("/search/many", {"searches": searches}).json()["answers"]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, "not_found"] * 3
    assert reranked(answers[0]) == reranked(service.search(query="bees"))


def test_a_sidecar_and_an_alias(service: Served, client: OpenSearch, encoder: Any, index_name: str) -> None:
    some = documents()[:8]
    lines: list[Any] = []
    for document in some:
        lines += [{"index": {"_id": document["id"]}}, document]
    client.bulk(index=index_name, body=lines, params={"refresh": "true"})
    wished = Wanted(text_fields=("title", "text"), encoder=encoder, term_encoder=None, codec="int8")
    attach(client, index_name, wished, SIDECAR)
    alias = f"{index_name}-alias"
    try:
        assert Filler(client, index_name).backfill().written == len(some)
        client.indices.refresh(index=sidecar_name(index_name))
        client.indices.put_alias(index=index_name, name=alias)
        parts = [{"text": "far travel"}, {"text": "terns", "weight": -1}]
        for name in (index_name, alias):
            field = field_of(service, name)
            told = (field["index"], field["target"], field["mode"], field["coverage"], field["documents"])
            assert told == (name, sidecar_name(index_name), "sidecar", 1.0, len(some))
            found = service.search(index=name, parts=parts, explain=True)
            assert {hit["doc_id"] for hit in found["hits"]} == {document["id"] for document in some}
            assert all(hit["source"]["tenant"] and hit["matches"] for hit in found["hits"])
            asked = {"index": name, "doc_id": "d01", "parts": parts}
            explained = service.post("/explain", asked).json()
            of_search = next(hit for hit in found["hits"] if hit["doc_id"] == "d01")
            assert [match["document_token"] for match in explained["matches"]] == [
                match["document_token"] for match in of_search["matches"]
            ]
            assert explained["score"] == pytest.approx(of_search["score"], abs=2e-3)
            assert explained["document_tokens"][1]["token"] == "bees"
            assert (explained["stale"], found["stale"]) == (False, 0)
        until(lambda: index_name in {each["index"] for each in service.get("/status").json()["attachments"]})
        (status,) = (each for each in service.get("/status").json()["attachments"] if each["index"] == index_name)
        assert (status["covered"], status["complete"], status["mode"]) == (len(some), True, "sidecar")
        assert service.post("/search", {"index": sidecar_name(index_name), "query": "a"}).status_code == 400
        # Written by somebody since: known in every kind of search, and its new words are not taken for the old ones.
        client.index(index=index_name, id="d01", body=some[1] | {"text": "all is new"}, params={"refresh": "true"})
        for asked_as in ({"query": "far travel"}, {"parts": parts}, {"parts": parts, "explain": True}):
            hits = service.search(index=alias, **asked_as)["hits"]
            assert {hit["doc_id"] for hit in hits if hit["stale"]} == {"d01"}
        explained = service.post("/explain", asked).json()
        assert explained["stale"]
        assert explained["document_tokens"][1]["token"] == "[1]"
        # Deleted by somebody who forgot to detach: the others are shown as before.
        client.indices.delete(index=index_name)
        until(lambda: index_name not in {each["index"] for each in service.get("/fields").json()["fields"]})
        assert {each["index"] for each in service.get("/fields").json()["fields"]} >= {INDEX}
        until(lambda: any(index_name in error for error in service.get("/status").json()["errors"]))
    finally:
        client.indices.delete(index=sidecar_name(index_name), ignore_unavailable=True)
        remove_attachment(client, index_name, "mv")


def test_an_image_is_a_part_where_the_encoder_takes_images(
    service: Served, client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    save_colpali(tmp_path / "colpali")
    visual: Any = encoders.load_encoder(str(tmp_path / "colpali"))  # the service's own
    images = pytest.importorskip("PIL.Image")
    colours = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
    encoded = visual.encode_images([images.new("RGB", (28, 28), colour) for colour in colours.values()])
    spec = FieldSpec("mv", visual.dim, "f32", EncoderRef(visual.name, visual.fingerprint))
    client.indices.create(index=index_name, body=index_body(spec))
    lines: list[Any] = []
    for name, one in zip(colours, encoded, strict=True):
        blob = base64.b64encode(encode_blob(one.vectors, "f32")).decode()
        lines += [{"index": {"_id": name}}, {"title": name, "mv.vectors": blob, "mv.dense": one.pooled.tolist()}]
    answer = client.bulk(index=index_name, body=lines, params={"refresh": "true"})
    assert not answer["errors"], answer
    field = field_of(service, index_name)
    assert field["images"] is True
    asked = {"index": index_name, "parts": [{"image": png(28, 28)}, {"text": "red", "weight": 0.5}], "explain": True}
    told = service.search(**asked)
    (text,) = visual.encode(["red"], "query")
    (image,) = visual.encode_images([images.new("RGB", (28, 28), colours["red"])])
    for hit in told["hits"]:
        document = encoded[list(colours).index(hit["doc_id"])].vectors
        expected = maxsim(image.vectors, document) + 0.5 * maxsim(text.vectors, document)
        assert hit["score"] == pytest.approx(expected, abs=1e-4)
    assert len(told["hits"]) == 3
    assert [(part["kind"], part["weight"]) for part in told["parts"]] == [("image", 1.0), ("text", 0.5)]
    huge = {"index": index_name, "parts": [{"image": png(5000, 4000)}]}
    assert "pixels" in service.post("/search", huge).json()["error"]["message"]


def field_of(service: Served, index: str) -> dict[str, Any]:
    """What is read of the cluster serves for some seconds."""
    until(lambda: bool(service.get("/fields", params={"index": index}).json()["fields"]))
    (field,) = service.get("/fields", params={"index": index}).json()["fields"]
    return field


def png(width: int, height: int) -> str:
    image = pytest.importorskip("PIL.Image")
    written = io.BytesIO()
    image.new("RGB", (width, height), (200, 30, 30)).save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()
