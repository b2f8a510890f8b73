"""Detaching a field on the real node: what is left is what there would be, had nothing been attached."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any, cast

import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError
from shop import TEXTS, make_shop, product

from opensearch_multivector.encoding.encoders import MINILM_INT8, load_encoder
from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.attach.apply import attach
from opensearch_multivector.indexing.attach.detach import Detached, detach
from opensearch_multivector.indexing.attach.wanted import Wanted
from opensearch_multivector.indexing.backfill import Filler, Pace
from opensearch_multivector.indexing.backfill.horizons import read_horizons
from opensearch_multivector.indexing.backfill.unit_store import UnitStore
from opensearch_multivector.plugin.artifacts import get_artifact, list_artifacts
from opensearch_multivector.plugin.attachments import (
    IN_PLACE,
    SIDECAR,
    Attachment,
    attachments_of,
    find_attachment,
    get_attachment,
    remove_attachment,
    sidecar_name,
)
from opensearch_multivector.plugin.fields import META_KEY
from opensearch_multivector.plugin.mapping import read_spec
from opensearch_multivector.plugin.state import STATE_INDEX
from opensearch_multivector.plugin.sub_fields import Codes

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(MINILM_INT8)


@pytest.fixture
def shop(client: OpenSearch, index_name: str) -> Iterator[str]:
    """A shop's index; what is attached to it is gone afterwards."""
    make_shop(client, index_name)
    yield index_name
    for each in attachments_of(client, index_name):
        remove_attachment(client, index_name, each.field)
    client.indices.delete(index=sidecar_name(index_name, "*"), params={"expand_wildcards": "all"})


@pytest.fixture
def twin(client: OpenSearch, shop: str) -> str:
    """The same index, to which nothing is ever attached."""
    name = f"{shop}-twin"
    make_shop(client, name)
    return name


def attached(client: OpenSearch, index: str, encoder: Encoder, mode: Any, field: str = "mv") -> Attachment:
    wanted = Wanted(TEXTS, encoder, None, "int8", field=field, sub_fields=(Codes(),))
    return attach(client, index, wanted, mode)


def filled(client: OpenSearch, index: str, encoder: Encoder, field: str = "mv") -> None:
    summary = Filler(client, index, field, encoder=encoder, pace=Pace(page=16)).backfill()
    assert not summary.refused


def write(client: OpenSearch, *indices: str, **body: Any) -> None:
    """Others write to all of these indices alike."""
    lines: list[Any] = []
    for doc_id, (action, document) in body.items():
        lines.append({action: {"_id": doc_id, "routing": f"r{int(doc_id[1:]) % 5}"}})
        lines += [] if document is None else [document]
    for index in indices:
        assert not client.bulk(index=index, body=lines, params={"refresh": "true"})["errors"]


def raw(client: OpenSearch, url: str, index: str) -> dict[str, bytes]:
    """`_source` of every document, byte for byte."""
    hits = client.search(index=index, body={"size": 10_000, "_source": False})["hits"]["hits"]
    made = {}
    for hit in hits:
        with urllib.request.urlopen(f"{url}/{index}/_source/{hit['_id']}?routing={hit['_routing']}") as answer:
            made[hit["_id"]] = answer.read()
    return made


def check_gone(client: OpenSearch, index: str) -> None:
    """Nothing is kept of any attachment, neither in `_meta` nor in the state."""
    assert client.indices.get_mapping(index=index)[index]["mappings"]["_meta"] == {"owner": "shop"}
    assert attachments_of(client, index) == ()
    client.indices.refresh(index=STATE_INDEX)
    kept = client.search(index=STATE_INDEX, body={"size": 10_000})["hits"]["hits"]
    assert not [hit["_id"] for hit in kept if index in hit["_id"]]


class TestInPlace:
    def test_documents_are_as_they_were_byte_for_byte(
        self, client: OpenSearch, node_url: str, shop: str, twin: str, encoder: Encoder
    ) -> None:
        before = raw(client, node_url, shop)
        attached(client, shop, encoder, IN_PLACE)
        filled(client, shop, encoder)
        assert sum(b"mv.vectors" in each for each in raw(client, node_url, shop).values()) == 35
        # One whose text goes away, one that an application has read and written back, one that it has made an object.
        write(client, shop, twin, p1=("index", product(1, name="changed")), p2=("update", {"doc": {"price": 7.5}}))
        write(client, shop, twin, p3=("delete", None), p4=("index", {"price": 4}), p90=("index", product(90)))
        copied = client.get(index=shop, id="p5", params={"routing": "r0"})["_source"]
        write(client, shop, p5=("index", copied | {"new": 1}))
        write(client, twin, p5=("index", product(5) | {"new": 1}))
        write(client, shop, twin, p7=("index", product(7)))
        write(client, shop, p7=("update", {"doc": {"mv": {"hash": "h", "codes": ["a"]}}}))
        filled(client, shop, encoder)
        write(client, shop, p8=("update", {"doc": {"mv.hash": None, "mv.vectors": None}}))
        told: list[tuple[int, int]] = []
        done = detach(client, shop, progress=lambda *counts: told.append(counts))
        assert (done.mode, done.interrupted) == (IN_PLACE, False)
        assert done.mapped == ("mv.codes", "mv.hash", "mv.vectors")
        assert told[-1] == (done.documents, done.documents)
        after, expected = raw(client, node_url, shop), raw(client, node_url, twin)
        assert after == expected
        assert {name: before[name] for name in ("p0", "p6", "p8", "p39")}.items() <= after.items()
        check_gone(client, shop)
        with pytest.raises(MismatchError, match="nothing is attached to it"):
            detach(client, shop)

    def test_what_is_written_meanwhile_stays(
        self, client: OpenSearch, node_url: str, shop: str, twin: str, encoder: Encoder
    ) -> None:
        attached(client, shop, encoder, IN_PLACE)
        filled(client, shop, encoder)
        stop = threading.Event()
        rounds = 0

        def others() -> None:
            nonlocal rounds
            while not stop.is_set():
                lines: list[Any] = []
                for number in range(10):
                    place = {"_id": f"p{number}", "routing": f"r{number % 5}", "retry_on_conflict": 50}
                    lines += [{"update": place}, {"doc": {"price": rounds}}]
                for index in (shop, twin):
                    assert not client.bulk(index=index, body=lines)["errors"]
                rounds += 1

        writer = threading.Thread(target=others)
        writer.start()

        def wait(more: int) -> None:
            until = rounds + more
            while writer.is_alive() and rounds < until:
                stop.wait(0.01)

        wait(1)
        detach(client, shop)
        wait(2)
        assert writer.is_alive()
        stop.set()
        writer.join()
        client.indices.refresh(index=f"{shop}*")
        assert raw(client, node_url, shop) == raw(client, node_url, twin)

    def test_a_stopped_one_goes_on(
        self, client: OpenSearch, node_url: str, shop: str, twin: str, encoder: Encoder, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr("opensearch_multivector.indexing.attach.detach.PAGE", 10)
        attached(client, shop, encoder, IN_PLACE)
        filled(client, shop, encoder)
        stop = threading.Event()
        first = detach(client, shop, progress=lambda *_: stop.set(), stop=stop)
        assert first.interrupted
        assert 0 < first.documents <= 10
        assert get_attachment(client, shop).detaching
        with pytest.raises(MismatchError, match="is being detached"):
            Filler(client, shop, encoder=encoder).backfill()
        second = detach(client, shop)
        assert (first.documents + second.documents, second.interrupted) == (35, False)
        assert raw(client, node_url, shop) == raw(client, node_url, twin)

    def test_a_killed_one_goes_on(
        self, client: OpenSearch, node_url: str, shop: str, twin: str, encoder: Encoder
    ) -> None:
        attached(client, shop, encoder, IN_PLACE)
        filled(client, shop, encoder)
        command = [sys.executable, "-m", "opensearch_multivector.cli.main", "detach", shop, "--yes", "--url", node_url]
        # So slow that after the first shard's page the second's is waited for.
        process = subprocess.Popen([*command, "--rate", "1"], stderr=subprocess.DEVNULL)

        def having() -> int:
            client.indices.refresh(index=shop)
            return int(client.count(index=shop, body={"query": {"exists": {"field": "mv.hash"}}})["count"])

        while having() == 35 and process.poll() is None:
            pass
        process.kill()
        process.wait()
        left = having()
        assert 0 < left < 35
        assert get_attachment(client, shop).detaching
        assert detach(client, shop).documents == left
        assert raw(client, node_url, shop) == raw(client, node_url, twin)
        check_gone(client, shop)

    def test_one_of_two_is_detached_and_attached_again(
        self, client: OpenSearch, node_url: str, shop: str, encoder: Encoder
    ) -> None:
        for field in ("one", "two"):
            attached(client, shop, encoder, IN_PLACE, field)
            filled(client, shop, encoder, field)
        assert detach(client, shop, "one").documents == 35
        left = raw(client, node_url, shop).values()
        assert sum(b'"two.vectors"' in each for each in left) == 35
        assert not any(b'"one.' in each for each in left)
        assert list(client.indices.get_mapping(index=shop)[shop]["mappings"]["_meta"]["osmv"]["fields"]) == ["two"]
        # The mapping that was left is taken up.
        attached(client, shop, encoder, IN_PLACE, "one")
        filled(client, shop, encoder, "one")
        assert [each.field for each in attachments_of(client, shop)] == ["one", "two"]
        for field in ("one", "two"):
            detach(client, shop, field)
        check_gone(client, shop)

    def test_an_index_without_meta_has_none_again(self, client: OpenSearch, index_name: str, encoder: Encoder) -> None:
        client.indices.create(index=index_name)
        client.index(index=index_name, id="p", body=product(1), params={"refresh": "true"})
        attached(client, index_name, encoder, IN_PLACE)
        detach(client, index_name)
        assert not client.indices.get_mapping(index=index_name)[index_name]["mappings"].get("_meta")


class TestSidecar:
    def test_nothing_is_left_and_nothing_was_written(self, client: OpenSearch, shop: str, encoder: Encoder) -> None:
        before = client.indices.stats(index=shop, params={"level": "shards"})["indices"][shop]["shards"]
        made = attached(client, shop, encoder, SIDECAR)
        filled(client, shop, encoder)
        done = detach(client, shop)
        assert done == Detached(shop, "mv", SIDECAR, 40, 0, (), interrupted=False)
        assert not client.indices.exists(index=made.target)
        after = client.indices.stats(index=shop, params={"level": "shards"})["indices"][shop]["shards"]
        assert [each["seq_no"] for copies in after.values() for each in copies] == [
            each["seq_no"] for copies in before.values() for each in copies
        ]
        check_gone(client, shop)

    def test_of_an_index_that_is_gone(self, client: OpenSearch, shop: str, encoder: Encoder) -> None:
        made = attached(client, shop, encoder, SIDECAR)
        client.indices.delete(index=shop)
        assert detach(client, shop).mode == SIDECAR
        assert find_attachment(client, shop) is None
        with pytest.raises(NotFoundError):
            client.indices.get(index=made.target)


class Held:
    """The encoder, at work until it is released."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.at_work, self.released = threading.Event(), threading.Event()

    def encode(self, *arguments: Any) -> Any:
        self.at_work.set()
        assert self.released.wait(60)
        return self._encoder.encode(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)


@pytest.mark.parametrize("mode", [IN_PLACE, SIDECAR])
def test_a_follower_at_work_ends(
    client: OpenSearch, node_url: str, shop: str, twin: str, encoder: Encoder, mode: Any
) -> None:
    """It has a page in hand, which it would write after everything was removed."""
    made = attached(client, shop, encoder, mode)
    held, ended = Held(encoder), []
    filler = Filler(client, shop, encoder=cast("Encoder", held), pace=Pace(page=2))

    def follow() -> None:
        try:
            filler.follow(0.01, lambda _: None)
        except MismatchError as error:
            ended.append(str(error))

    follower = threading.Thread(target=follow)
    follower.start()
    assert held.at_work.wait(60)
    assert not detach(client, shop, message=lambda _: held.released.set()).interrupted
    held.released.set()
    follower.join(60)
    assert len(ended) == 1
    assert "detached" in ended[0]
    client.indices.refresh(index=shop)
    assert raw(client, node_url, shop) == raw(client, node_url, twin)
    assert mode == IN_PLACE or not client.indices.exists(index=made.target)


def test_it_waits_until_no_backfill_is_at_work(client: OpenSearch, shop: str, encoder: Encoder) -> None:
    """A page that is being encoded would be written after everything was removed."""
    made = attached(client, shop, encoder, SIDECAR)
    units = UnitStore(client, made, "other:1")
    horizon = read_horizons(client, made)[0]
    units.see(horizon)
    lease = units.lease(horizon, 100)
    assert lease is not None
    told: list[str] = []

    def stopping(sentence: str) -> None:
        told.append(sentence)
        assert client.indices.exists(index=made.target)
        assert get_attachment(client, shop).detaching
        units.give_back(horizon.shard, lease)

    assert not detach(client, shop, message=stopping).interrupted
    assert told == ["waiting for the backfill of other:1 to stop, or to be given up"]
    check_gone(client, shop)


def test_what_was_learnt_goes_with_the_last_that_needs_it(client: OpenSearch, shop: str, encoder: Encoder) -> None:
    client.index(index=shop, id="own", body=product(0, name=shop), params={"routing": "r0", "refresh": "true"})
    made = attached(client, shop, encoder, SIDECAR)
    spec = read_spec(client, made.target)
    (artifact,) = spec.artifacts.values()
    other = f"{shop}-other"
    client.indices.create(index=other, body={"mappings": {"_meta": {META_KEY: {"fields": {"mv": spec.to_meta()}}}}})
    detach(client, shop)
    assert get_artifact(client, artifact).id == artifact
    client.indices.delete(index=other)
    attached(client, shop, encoder, SIDECAR)
    assert artifact in list_artifacts(client)
    detach(client, shop)
    assert artifact not in list_artifacts(client)
    with pytest.raises(MismatchError, match="missing"):
        get_artifact(client, artifact)
