"""The description of a field, as `_meta` keeps it, and the tables of sub-fields, whoever is in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.sub_fields import VALUES
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.sub_fields import SUB_FIELDS, Dense, Floats, Slim

READY = EncoderRef(READY_VECTORS, "none")


def meta_1(**changes: Any) -> dict[str, Any]:
    """As the first release wrote it."""
    reference = {"name": READY_VECTORS, "fingerprint": "none"}
    written = {"format_version": 1, "field": "mv", "dim": 8, "codec": "int8", "vectors": reference, "terms": None}
    return written | {"text_fields": ["text"], "has_dense": True, "has_floats": False} | changes


@pytest.mark.parametrize("name", SUB_FIELDS)
def test_each_sub_field_is_kept(name: str) -> None:
    spec = FieldSpec("mv", 16, "int8", READY, terms=READY, sub_fields=(SUB_FIELDS[name](),), artifacts={"a": "1"})
    assert FieldSpec.from_meta(json.loads(json.dumps(spec.to_meta()))) == spec


@pytest.mark.parametrize("name", SUB_FIELDS)
def test_each_sub_field_has_a_value_for_a_document(name: str) -> None:
    assert SUB_FIELDS[name].name == name
    assert callable(VALUES[name])


def test_no_value_without_a_sub_field() -> None:
    assert VALUES.keys() == SUB_FIELDS.keys()


def test_version_1_is_read() -> None:
    reference = {"name": READY_VECTORS, "fingerprint": "none"}
    assert FieldSpec.from_meta(meta_1()).sub_fields == (Dense(),)
    full = FieldSpec.from_meta(meta_1(has_floats=True, terms=reference))
    assert full.sub_fields == (Dense(), Floats(), Slim())
    assert FieldSpec.from_meta(meta_1(has_dense=False)).sub_fields == ()
    assert FieldSpec.from_meta(full.to_meta()) == full
    assert full.to_meta()["format_version"] == 2


def test_an_attached_field_is_kept_as_one() -> None:
    attached = FieldSpec("mv", 8, "int8", READY, has_text_copy=False)
    assert FieldSpec.from_meta(json.loads(json.dumps(attached.to_meta()))) == attached
    earlier = attached.to_meta()
    del earlier["has_text_copy"]
    assert FieldSpec.from_meta(earlier).has_text_copy


def test_texts_are_found_within_objects_and_lists() -> None:
    spec = FieldSpec("mv", 8, "int8", READY, text_fields=("title", "body.parts.text"))
    nested = {"title": " Bees ", "body": {"parts": [{"text": "find home"}, {"other": 1}, {"text": ["by", "sun"]}]}}
    assert spec.text_of(nested) == "Bees find home by sun"
    assert spec.text_of({"body.parts": {"text": "home"}, "title": None, "body.parts.texts": "no"}) == "home"
    assert spec.text_of({"body": "no object", "title": ""}) == ""


def test_what_a_later_release_wrote_is_refused() -> None:
    meta = FieldSpec("mv", 8, "int8", READY).to_meta()
    with pytest.raises(MismatchError, match="format version 99"):
        FieldSpec.from_meta(meta | {"format_version": 99})
    with pytest.raises(MismatchError, match="sub-fields of a later release: novel"):
        FieldSpec.from_meta(meta | {"sub_fields": {"novel": {}}})
