"""What a record must be, and the reason given where it isn't."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from opensearch_multivector.indexing.records import Layout, RejectedError, make_record, token_vectors

READY = Layout(ready=True)
VECTORS = [[1.0, 2.0], [3.0, 4.0]]


def test_title_and_text_are_joined_and_further_fields_kept() -> None:
    record = make_record({"_id": "a", "title": " T ", "text": "x y", "year": 3, "tags": ["p"]}, Layout())
    assert (record.doc_id, record.text, record.vectors) == ("a", "T x y", None)
    assert json.loads(record.source) == {"title": " T ", "text": "x y", "year": 3, "tags": ["p"]}


def test_chosen_fields() -> None:
    layout = Layout(id_field="sku", text_field="body", title_field="name")
    record = make_record({"sku": 7, "name": "N", "body": "B", "text": "other"}, layout)
    assert (record.doc_id, record.text) == ("7", "N B")
    assert json.loads(record.source)["sku"] == 7


def test_ready_vectors_leave_the_source_and_need_no_text() -> None:
    record = make_record({"id": "a", "vectors": VECTORS, "k": 1}, READY)
    np.testing.assert_array_equal(record.vectors, np.array(VECTORS, np.float32))
    assert json.loads(record.source) == {"id": "a", "k": 1}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"text": "x"}, "id is missing"),
        ({"id": "", "text": "x"}, "id is empty"),
        ({"id": None, "text": "x"}, "neither a string nor an integer"),
        ({"id": 1.5, "text": "x"}, "neither a string nor an integer"),
        ({"id": True, "text": "x"}, "neither a string nor an integer"),
        ({"id": "ü" * 257, "text": "x"}, "id is 514 bytes long"),
        ({"id": "\ud800", "text": "x"}, "half a surrogate pair"),
        ({"id": "a"}, "text is empty"),
        ({"id": "a", "text": " ", "title": ""}, "text is empty"),
        ({"id": "a", "text": 3}, "'text' is not a string"),
        ({"id": "a", "text": "x\ud800"}, "half a surrogate pair"),
        ({"id": "a", "text": "x", "n": float("nan")}, "can't be written as JSON"),
        ({"id": "a", "text": "x", "mv": 1}, "collides with the multi-vector field"),
        ({"id": "a", "text": "x", "mv.vectors": 1}, "collides with the multi-vector field"),
        ({"id": "a", "text": "x" * 6_000_000}, "more than the 5,000,000"),
    ],
)
def test_rejected(value: dict[str, Any], reason: str) -> None:
    with pytest.raises(RejectedError, match=reason):
        make_record(value, Layout())


def test_an_id_of_512_bytes_passes() -> None:
    assert make_record({"id": "ü" * 256, "text": "x"}, Layout()).doc_id == "ü" * 256


@pytest.mark.parametrize(
    ("vectors", "reason"),
    [
        ([], "no token vectors"),
        ([[]], "no token vectors"),
        ([[1.0, 2.0], [3.0]], "differ in length"),
        ([1.0, 2.0], "list of lists"),
        ([[[1.0]]], "list of lists"),
        ([["1.0"]], "not a number"),
        ([[None]], "not a number"),
        ([[True]], "not a number"),
        ({"a": 1}, "not a number"),
        ([[1.0, 2.0], [float("nan"), 0.0]], "token vector 1 holds NaN or infinity"),
        ([[float("inf"), 0.0]], "token vector 0 holds NaN or infinity"),
        ([[1e300, 0.0]], "token vector 0 holds NaN or infinity"),
    ],
)
def test_bad_vectors(vectors: Any, reason: str) -> None:
    with pytest.raises(RejectedError, match=reason):
        token_vectors(vectors)
    with pytest.raises(RejectedError, match=reason) as caught:
        make_record({"id": "a", "vectors": vectors}, READY)
    assert caught.value.doc_id == "a"


def test_missing_vectors() -> None:
    with pytest.raises(RejectedError, match="'vectors' with the token vectors is missing"):
        make_record({"id": "a", "text": "x"}, READY)
