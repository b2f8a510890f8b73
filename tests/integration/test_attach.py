"""Planning to attach a field to somebody's index, and doing it, on the real node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from opensearchpy import OpenSearch
from shop import PROPERTIES, TEXTS, make_shop, product, sources

from opensearch_multivector.encoding.encoders import MINILM_INT8, load_encoder, load_term_encoder
from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.indexing.attach.apply import attach
from opensearch_multivector.indexing.attach.host import read_host
from opensearch_multivector.indexing.attach.plan import Plan, plan
from opensearch_multivector.indexing.attach.wanted import Wanted, wanted
from opensearch_multivector.indexing.document import DocumentMaker
from opensearch_multivector.indexing.records import Record
from opensearch_multivector.plugin.artifacts import list_artifacts, load_state
from opensearch_multivector.plugin.attachments import (
    IN_PLACE,
    SIDECAR,
    attachments_of,
    fingerprint_of,
    remove_attachment,
    sidecar_name,
    update_attachment,
)
from opensearch_multivector.plugin.mapping import read_spec
from opensearch_multivector.plugin.sub_fields import Codes, Dense, Seismic, Slim

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(MINILM_INT8)


@pytest.fixture
def shop(client: OpenSearch, index_name: str) -> Iterator[str]:
    """Name for an index; what is attached to it is gone afterwards."""
    yield index_name
    for each in attachments_of(client, index_name):
        remove_attachment(client, index_name, each.field)
    client.indices.delete(index=f"{sidecar_name(index_name, '*')}", params={"expand_wildcards": "all"})


def wish(encoder: Encoder | None, **changes: Any) -> Wanted:
    usual = {"text_fields": TEXTS, "encoder": encoder, "term_encoder": None, "codec": "int8"}
    return Wanted(**(usual | changes))


def planned(client: OpenSearch, index: str, wished: Wanted) -> Plan:
    return plan(client, read_host(client, index), wished)


class TestPlan:
    def test_it_changes_nothing_and_says_what_would_be(self, client: OpenSearch, shop: str, encoder: Encoder) -> None:
        make_shop(client, shop)
        # So that what would be learnt is nothing that the cluster has from another test.
        client.index(index=shop, id="p0", body=product(0, name=shop), params={"routing": "r0", "refresh": "true"})
        before = client.indices.get(index="*", params={"expand_wildcards": "all"})
        texts, artifacts = sources(client, shop), list_artifacts(client)
        made = planned(client, shop, wish(encoder))
        assert list_artifacts(client) == artifacts
        assert client.indices.get(index="*", params={"expand_wildcards": "all"}) == before
        assert sources(client, shop) == texts
        assert (made.documents, made.sampled, made.with_text) == (40, 40, 35)
        in_place, sidecar = made.mode(IN_PLACE), made.mode(SIDECAR)
        # A live index can't be given k-NN.
        assert (in_place.sub_fields, sidecar.sub_fields) == (("codes",), ("dense",))
        assert in_place.properties.keys() == {"vectors", "codes", "hash"}
        assert (in_place.documents, sidecar.documents) == (35, 35)
        assert (made.recommended, in_place.why_not, sidecar.why_not) == (SIDECAR, (), ())
        assert "for every application" in made.because
        assert any("1.10 becomes 1.1" in notice for notice in in_place.notices)
        assert sidecar.source_bytes == 0
        assert in_place.seconds > 0

    def test_sizes_are_those_that_come(self, client: OpenSearch, shop: str, encoder: Encoder) -> None:
        """Against the same documents with all of `F.*` in them, on the disk."""
        make_shop(client, shop, count=300, shards=1)
        wished = wish(encoder, sub_fields=(Codes(),))
        made = planned(client, shop, wished)
        sizes = {shop: size_on_disk(client, shop)}
        for mode in (IN_PLACE, SIDECAR):
            attachment = attach(client, shop, wished, mode)
            fill(client, shop, attachment.target, encoder)
            sizes[mode] = size_on_disk(client, attachment.target)
            remove_attachment(client, shop, "mv")
        in_place, sidecar = made.mode(IN_PLACE), made.mode(SIDECAR)
        # What `_source` leaves out is kept for recoveries until segments are merged after those have had their chance.
        grown = ((in_place, sizes[IN_PLACE] - sizes[shop]), (sidecar, sizes[SIDECAR] - sidecar.sent_bytes))
        for each, size in grown:
            assert 0.6 * size < each.disk_bytes < 1.5 * size, (each.mode, size, each.disk_bytes)
        source = client.get(index=shop, id="p1", params={"routing": "r1"})["_source"]
        assert source["mv.vectors"]

    def test_little_in_the_source_is_recommended_in_place(
        self, client: OpenSearch, shop: str, encoder: Encoder
    ) -> None:
        make_shop(client, shop, count=0)
        for number in range(4):
            client.index(index=shop, id=str(number), body=product(number, more="x" * 400_000))
        client.indices.refresh(index=shop)
        made = planned(client, shop, wish(encoder))
        assert made.recommended == IN_PLACE
        assert "alone" in made.because

    def test_versions_of_the_writers_own_are_noticed(self, client: OpenSearch, shop: str, encoder: Encoder) -> None:
        make_shop(client, shop, count=0)
        external = {"version": 1_700_000_000_000, "version_type": "external", "refresh": "true"}
        client.index(index=shop, id="p", body=product(1), params=external)
        notices = planned(client, shop, wish(encoder)).mode(IN_PLACE).notices
        assert any("version 1,700,000,000,000" in notice for notice in notices)

    def test_an_empty_index_has_a_plan(self, client: OpenSearch, shop: str, encoder: Encoder) -> None:
        make_shop(client, shop, count=0)
        made = planned(client, shop, wish(encoder))
        assert (made.documents, made.mode(SIDECAR).sent_bytes, made.mode(SIDECAR).why_not) == (0, 0, ())


class TestObstacles:
    @pytest.mark.parametrize(
        ("settings", "sub_field", "why"),
        [
            ({}, Dense(), "index.knn: true"),
            ({"knn": True}, Seismic(), "index.sparse: true"),
            ({"blocks.read_only_allow_delete": True}, Codes(), "disk is or was full"),
            ({"blocks.write": True}, Codes(), "index.blocks.write"),
            ({"mapping.total_fields.limit": 8}, Codes(), "would have 10 fields"),
        ],
    )
    def test_settings_that_leave_only_a_sidecar(
        self, client: OpenSearch, shop: str, encoder: Encoder, settings: dict[str, Any], sub_field: Any, why: str
    ) -> None:
        # k-NN is of an index's making; the others come later, when documents are there.
        making = {name: value for name, value in settings.items() if name == "knn"}
        make_shop(client, shop, count=3, shards=1, **making)
        if later := {name: value for name, value in settings.items() if name not in making}:
            client.indices.put_settings(index=shop, body={"index": later})
        terms = load_term_encoder() if sub_field.needs_terms else None
        wished = wish(encoder, sub_fields=(sub_field,), term_encoder=terms)
        made = planned(client, shop, wished)
        assert len(made.mode(IN_PLACE).why_not) == 1
        assert why in made.mode(IN_PLACE).why_not[0]
        assert made.mode(SIDECAR).why_not == ()
        assert (made.recommended, made.because) == (SIDECAR, "no other is possible")
        with pytest.raises(MismatchError, match=why):
            attach(client, shop, wished, IN_PLACE)

    @pytest.mark.parametrize(
        ("source", "in_place", "sidecar"),
        [
            ({"enabled": False}, "keeps no `_source`", "keeps no `_source`"),
            ({"excludes": ["about"]}, "'about.text' is kept out", "'about.text' is kept out"),
            ({"includes": ["name", "about.*"]}, "silently drop", ""),
            ({"excludes": ["mv*"]}, "silently drop", ""),
        ],
    )
    def test_what_is_kept_out_of_the_source(
        self, client: OpenSearch, shop: str, encoder: Encoder, source: dict[str, Any], in_place: str, sidecar: str
    ) -> None:
        client.indices.create(index=shop, body={"mappings": {"_source": source, "properties": PROPERTIES}})
        client.index(index=shop, id="p", body=product(1), params={"refresh": "true"})
        made = planned(client, shop, wish(encoder))
        assert in_place in " ".join(made.mode(IN_PLACE).why_not)
        assert sidecar in " ".join(made.mode(SIDECAR).why_not)
        assert bool(made.mode(SIDECAR).why_not) == bool(sidecar)

    def test_a_field_of_the_documents_own(self, client: OpenSearch, shop: str, encoder: Encoder) -> None:
        make_shop(client, shop, count=3)
        client.index(index=shop, id="p", body=product(1, mv={"of": "mine"}), params={"refresh": "true"})
        made = planned(client, shop, wish(encoder))
        assert made.mode(IN_PLACE).why_not == ("document 'p' has a field 'mv' of its own: give another --field",)
        assert planned(client, shop, wish(encoder, field="other")).mode(IN_PLACE).why_not == ()
        client.indices.put_mapping(
            index=shop,
            body={"properties": {"file": {"properties": {"hash": {"type": "keyword"}, "name": {"type": "text"}}}}},
        )
        assert "of another kind" in planned(client, shop, wish(encoder, field="file")).mode(IN_PLACE).why_not[0]

    def test_wishes_that_cannot_be(self, client: OpenSearch, shop: str, encoder: Encoder) -> None:
        make_shop(client, shop, count=3)
        with pytest.raises(InputError, match="has no field 'nmae' to take texts from: it has about, left, name, price"):
            planned(client, shop, wish(encoder, text_fields=("nmae",)))
        with pytest.raises(InputError, match="collides"):
            wish(encoder, text_fields=("mv.text",))
        with pytest.raises(InputError, match="nothing to attach"):
            wish(None)
        assert wanted(None, TEXTS, encoder="none").spec(read_host(client, shop), IN_PLACE).sub_fields == (Slim(),)
        with pytest.raises(InputError, match="learns from queries"):
            wish(encoder, reduce="leanvec:dim=8")
        assert (
            "not in the index's mapping"
            in planned(client, shop, wish(encoder, filter_fields=("x",))).mode(SIDECAR).why_not[0]
        )


class TestAttach:
    @pytest.mark.parametrize("mode", [IN_PLACE, SIDECAR])
    def test_the_same_again_changes_nothing(self, client: OpenSearch, shop: str, encoder: Encoder, mode: Any) -> None:
        make_shop(client, shop)
        texts = sources(client, shop)
        wished = wish(encoder, sub_fields=(Codes(),), filter_fields=("price",) if mode == SIDECAR else ())
        told: list[str] = []
        made = attach(client, shop, wished, mode, message=told.append)
        assert any("codebook" in sentence for sentence in told)
        spec = read_spec(client, made.target)
        assert made.fingerprint == fingerprint_of(spec)
        assert load_state(client, spec).codebook is not None
        mapping = client.indices.get_mapping(index=made.target)
        told.clear()
        assert attach(client, shop, wished, mode, message=told.append) == made
        assert not told
        assert client.indices.get_mapping(index=made.target) == mapping
        assert attachments_of(client, shop) == (made,)
        assert sources(client, shop) == texts
        with pytest.raises(MismatchError, match=r"text fields name, about\.text, not name: detach it first"):
            attach(client, shop, replace(wished, text_fields=("name",)), mode)
        with pytest.raises(MismatchError, match="codec int8, this run f32"):
            attach(client, shop, replace(wished, codec="f32"), mode)
        update_attachment(client, shop, "mv", detaching=True)
        with pytest.raises(MismatchError, match="being detached"):
            attach(client, shop, wished, mode)

    def test_what_others_described_stays(self, client: OpenSearch, shop: str, encoder: Encoder) -> None:
        make_shop(client, shop)
        for field in ("one", "two"):
            attach(client, shop, wish(encoder, field=field, sub_fields=()), IN_PLACE)
        there = client.indices.get_mapping(index=shop)[shop]["mappings"]
        assert there["_meta"]["owner"] == "shop"
        assert there["_meta"]["osmv"]["fields"].keys() == {"one", "two"}
        assert [each.field for each in attachments_of(client, shop)] == ["one", "two"]

    @pytest.mark.parametrize("mode", [IN_PLACE, SIDECAR])
    def test_an_interrupted_one_goes_on(self, client: OpenSearch, shop: str, encoder: Encoder, mode: Any) -> None:
        """Killed after the mapping and before the record: what was learnt is not learnt again."""
        make_shop(client, shop)
        wished = wish(encoder, sub_fields=(Codes(),))
        first = attach(client, shop, wished, mode)
        remove_attachment(client, shop, "mv")
        told: list[str] = []
        second = attach(client, shop, wished, mode, message=told.append)
        assert (second.fingerprint, told) == (first.fingerprint, [])

    def test_a_sidecar_lies_as_its_index_does(self, client: OpenSearch, shop: str, encoder: Encoder) -> None:
        lowered = {"normalizer": {"lowered": {"type": "custom", "filter": ["lowercase"]}}}
        settings = {"number_of_shards": 3, "number_of_routing_shards": 6, "analysis": lowered}
        properties = {**PROPERTIES, "kind": {"type": "keyword", "normalizer": "lowered"}}
        mappings = {"_routing": {"required": True}, "properties": properties}
        client.indices.create(index=shop, body={"settings": settings, "mappings": mappings})
        client.index(index=shop, id="p", body=product(1), params={"routing": "r", "refresh": "true"})
        alias = f"{shop}-alias"
        client.indices.put_alias(index=shop, name=alias)
        made = attach(client, alias, wish(encoder, filter_fields=("kind", "about.lang")), SIDECAR)
        assert (made.index, made.target) == (shop, sidecar_name(shop))
        there = client.indices.get(index=made.target)[made.target]
        assert there["settings"]["index"]["number_of_shards"] == "3"
        assert there["mappings"]["_routing"] == {"required": True}
        assert there["mappings"]["properties"]["about"] == {"properties": {"lang": {"type": "keyword"}}}
        assert there["settings"]["index"]["knn"] == "true"

    def test_an_index_made_anew_is_another(self, client: OpenSearch, shop: str, encoder: Encoder) -> None:
        make_shop(client, shop)
        wished = wish(encoder, sub_fields=())
        made = attach(client, shop, wished, SIDECAR)
        client.index(index=made.target, id="p1", body={"mv.hash": "h"}, params={"refresh": "true"})
        client.indices.delete(index=shop)
        make_shop(client, shop)
        with pytest.raises(MismatchError, match="attached to an earlier index of that name"):
            attach(client, shop, wished, SIDECAR)
        remove_attachment(client, shop, "mv")
        with pytest.raises(MismatchError, match="has documents, and is none that is being filled"):
            attach(client, shop, wished, SIDECAR)

    def test_an_index_that_osmv_fills_is_none_to_attach_to(
        self, client: OpenSearch, shop: str, encoder: Encoder
    ) -> None:
        make_shop(client, shop)
        spec = replace(wish(encoder, sub_fields=()).spec(read_host(client, shop), IN_PLACE), has_text_copy=True)
        client.indices.put_mapping(index=shop, body={"_meta": {"osmv": {"fields": {"mv": spec.to_meta()}}}})
        with pytest.raises(MismatchError, match="one that `osmv index` fills"):
            attach(client, shop, wish(encoder), IN_PLACE)


def fill(client: OpenSearch, shop: str, target: str, encoder: Encoder) -> None:
    """Write all of `F.*` as a backfill would."""
    spec = load_state(client, read_spec(client, target))
    hits = client.search(index=shop, body={"size": 10_000})["hits"]["hits"]
    texts = {hit["_id"]: (hit["_routing"], spec.text_of(hit["_source"])) for hit in hits}
    records = [
        Record(doc_id, text, b'{"mv.hash":"0123456789abcdef01234567"}') for doc_id, (_, text) in texts.items() if text
    ]
    lines: list[Any] = []
    for record, made in zip(records, DocumentMaker(spec, encoder, None).make(records), strict=True):
        action = "update" if target == shop else "index"
        body = b'{"doc":' + made.body + b"}" if target == shop else made.body  # type: ignore[union-attr]
        lines += [{action: {"_id": record.doc_id, "routing": texts[record.doc_id][0]}}, body.decode()]
    answer = client.bulk(index=target, body=lines)
    assert not answer["errors"], answer


def size_on_disk(client: OpenSearch, index: str) -> int:
    """By segment: the store's own figure is up to ten seconds old."""
    client.indices.refresh(index=index)
    client.indices.forcemerge(index=index, params={"max_num_segments": 1})
    client.indices.refresh(index=index)
    (copies,) = client.indices.segments(index=index)["indices"][index]["shards"].values()
    return sum(segment["size_in_bytes"] for segment in copies[0]["segments"].values())
