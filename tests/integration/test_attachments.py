"""The record of what is attached to an index, and the mappings of attached fields, on the real node."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from opensearchpy import AsyncOpenSearch, OpenSearch

from opensearch_multivector.errors import ClusterError, InputError, MismatchError
from opensearch_multivector.plugin.attachments import (
    Attachment,
    attachments_of,
    attachments_of_async,
    concrete_index,
    find_attachment,
    fingerprint_of,
    get_attachment,
    put_attachment,
    remove_attachment,
    sidecar_name,
    update_attachment,
)
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.inspection import users_of_artifacts
from opensearch_multivector.plugin.mapping import attached_properties, read_spec, sidecar_body
from opensearch_multivector.plugin.state import get_state
from opensearch_multivector.plugin.sub_fields import Codes, Dense, Slim

pytestmark = pytest.mark.integration

READY = EncoderRef(READY_VECTORS, "none")
SPEC = FieldSpec("mv", 8, "int8", READY, terms=READY, sub_fields=(Codes(), Slim()), has_text_copy=False)


def attachment(index: str, field: str = "mv") -> Attachment:
    return Attachment(
        index=index,
        index_uuid="u",
        field=field,
        mode="sidecar",
        target=sidecar_name(index, field),
        text_fields=("title", "text"),
        fingerprint=fingerprint_of(SPEC),
        made_at="2026-01-01T00:00:00+00:00",
        filter_fields=("lang",),
    )


@pytest.fixture
def recorded(client: OpenSearch, index_name: str) -> Iterator[Attachment]:
    client.indices.create(index=index_name)
    made = attachment(index_name)
    put_attachment(client, made)
    yield made
    for each in attachments_of(client, index_name):
        remove_attachment(client, index_name, each.field)


async def test_a_record_is_found_by_index_and_by_alias(client: OpenSearch, node_url: str, recorded: Attachment) -> None:
    other = attachment(recorded.index, "other")
    put_attachment(client, other)
    alias = f"{recorded.index}-alias"
    client.indices.put_alias(index=recorded.index, name=alias)
    assert get_attachment(client, recorded.index) == recorded
    assert find_attachment(client, alias, "other") == other
    async with AsyncOpenSearch(node_url) as asynchronous:
        for name in (recorded.index, alias):
            assert attachments_of(client, name) == (recorded, other)
            assert await attachments_of_async(asynchronous, name) == (recorded, other)
        assert await attachments_of_async(asynchronous, "absent") == ()
    assert attachments_of(client, "absent") == ()
    with pytest.raises(MismatchError, match="attached are: mv, other"):
        get_attachment(client, alias, "third")


def test_changes_by_others_at_the_same_time_are_kept(client: OpenSearch, recorded: Attachment) -> None:
    """Whoever writes a record as it had read it undoes what was written in between."""

    def attach(number: int) -> None:
        put_attachment(client, attachment(recorded.index, f"field{number}"))

    threads = [threading.Thread(target=attach, args=(number,)) for number in range(4)]
    threads.append(
        threading.Thread(target=update_attachment, args=(client, recorded.index, "mv"), kwargs={"paused": True})
    )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(attachments_of(client, recorded.index)) == 5
    update_attachment(client, recorded.index, "mv", detaching=True)
    assert get_attachment(client, recorded.index) == replace(recorded, paused=True, detaching=True)


def test_nothing_is_left_of_a_removed_record(client: OpenSearch, recorded: Attachment) -> None:
    remove_attachment(client, recorded.index, "mv")
    remove_attachment(client, recorded.index, "mv")
    assert find_attachment(client, recorded.index) is None
    assert get_state(client, f"attachments-{recorded.index}") is None
    with pytest.raises(MismatchError, match="no longer attached"):
        update_attachment(client, recorded.index, "mv", paused=False)
    put_attachment(client, recorded)
    assert get_attachment(client, recorded.index) == recorded


def test_one_index_behind_a_name(client: OpenSearch, index_name: str) -> None:
    client.indices.create(index=f"{index_name}-1", body={"aliases": {index_name: {}}})
    concrete, uuid = concrete_index(client, index_name)
    assert concrete == f"{index_name}-1"
    assert uuid == concrete_index(client, concrete)[1]
    client.indices.create(index=f"{index_name}-2", body={"aliases": {index_name: {}}})
    with pytest.raises(InputError, match=rf"covers 2 indices \({index_name}-1, {index_name}-2\): name one of them"):
        concrete_index(client, index_name)
    with pytest.raises(ClusterError, match="there is no index"):
        concrete_index(client, f"{index_name}-3")
    assert attachments_of(client, index_name) == ()


def test_a_hash_tells_the_text_and_what_is_made_of_it() -> None:
    made = attachment("articles")
    assert made.content_hash("bees") == made.content_hash("bees")
    assert len(made.content_hash("half a pair \ud800")) == 24
    others = [replace(SPEC, codec="f32"), replace(SPEC, artifacts={"codebook": "1"}), replace(SPEC, sub_fields=())]
    hashes = {replace(made, fingerprint=fingerprint_of(spec)).content_hash("bees") for spec in others}
    assert len({made.content_hash("bees"), made.content_hash("bees "), *hashes}) == 5
    assert fingerprint_of(replace(SPEC, text_fields=("body",))) == fingerprint_of(SPEC)


def test_a_field_is_added_to_a_live_index(client: OpenSearch, index_name: str) -> None:
    client.indices.create(index=index_name, body={"mappings": {"dynamic": "strict"}})
    client.indices.put_mapping(index=index_name, body={"properties": attached_properties(SPEC)})
    there = client.indices.get_mapping(index=index_name)[index_name]["mappings"]
    assert there["properties"] == {
        "mv": {
            "properties": {
                "vectors": {"type": "binary", "doc_values": True},
                "codes": {"type": "keyword", "doc_values": False, "similarity": "boolean"},
                "slim": {"type": "rank_features"},
                "hash": {"type": "keyword"},
            }
        }
    }
    assert "_source" not in there


def test_a_sidecar_can_be_filtered_as_the_index_can(client: OpenSearch, index_name: str) -> None:
    lowered = {"normalizer": {"lowered": {"type": "custom", "filter": ["lowercase"]}}}
    properties = {
        "text": {"type": "text"},
        "lang": {"type": "keyword", "normalizer": "lowered", "copy_to": "text"},
        "owner": {"properties": {"team": {"type": "integer"}, "secret": {"type": "keyword"}}},
        "parts": {"type": "nested", "properties": {"kind": {"type": "keyword"}, "note": {"type": "text"}}},
        "language": {"type": "alias", "path": "lang"},
    }
    source = {"_routing": {"required": True}, "properties": properties}
    body = {"settings": {"analysis": lowered}, "mappings": source}
    client.indices.create(index=index_name, body=body)
    source = client.indices.get_mapping(index=index_name)[index_name]["mappings"]
    sidecar = f"{index_name}-sidecar"
    spec = replace(SPEC, sub_fields=(Dense(), Slim(keep=True)))
    fields = ("lang", "owner.team", "parts.kind")
    client.indices.create(index=sidecar, body=sidecar_body(spec, source, fields, settings={"analysis": lowered}))
    there = client.indices.get_mapping(index=sidecar)[sidecar]["mappings"]
    assert there["_routing"] == {"required": True}
    assert there["_source"]["excludes"] == ["mv.vectors", "mv.dense"]
    assert there["properties"].keys() == {"lang", "owner", "parts", "mv"}
    assert there["properties"]["owner"] == {"properties": {"team": {"type": "integer"}}}
    assert there["properties"]["parts"] == {"type": "nested", "properties": {"kind": {"type": "keyword"}}}
    assert "copy_to" not in there["properties"]["lang"]
    assert read_spec(client, sidecar) == spec
    assert sidecar not in client.indices.get(index=f"{index_name}*", params={"expand_wildcards": "open"})

    document = {"lang": "EN", "owner": {"team": 3}, "parts": [{"kind": "a"}], "mv.hash": "h", "more": 1}
    client.index(index=sidecar, id="d", body=document, params={"routing": "r", "refresh": "true"})
    nested = {"nested": {"path": "parts", "query": {"term": {"parts.kind": "a"}}}}
    clauses = [{"term": {"lang": "en"}}, {"term": {"owner.team": 3}}, nested, {"term": {"mv.hash": "h"}}]
    assert client.count(index=sidecar, body={"query": {"bool": {"filter": clauses}}})["count"] == 1
    for name, why in (
        ("lang.raw", "not in the index's mapping"),
        ("absent", "not in"),
        ("language", "alias of 'lang'"),
    ):
        with pytest.raises(InputError, match=why):
            sidecar_body(spec, source, (name,))


def test_artifacts_of_a_hidden_sidecar_are_in_use(client: OpenSearch, index_name: str) -> None:
    spec = replace(SPEC, artifacts={"codebook": "0123456789abcdef"})
    client.indices.create(index=index_name, body=sidecar_body(spec, {}))
    assert users_of_artifacts(client)["0123456789abcdef"] == [index_name]
