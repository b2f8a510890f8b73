"""An index is copied into a new one that takes over its aliases: what is carried over, and what is refused."""

from __future__ import annotations

from dataclasses import replace as replaced_in
from typing import Any

import pytest
from attached_texts import WordEncoder, filler, make_index, own_documents, put
from new_index import QUIET, attach_new, make_aliased, wish
from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException

from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.attach.apply import attach
from opensearch_multivector.indexing.attach.detach import detach
from opensearch_multivector.indexing.attach.host import read_host
from opensearch_multivector.indexing.attach.plan import plan
from opensearch_multivector.indexing.attach.swap import replace_index
from opensearch_multivector.indexing.backfill import status_of
from opensearch_multivector.plugin.attachments import NEW, TAIL, attachments_of, get_attachment, update_attachment
from opensearch_multivector.queries.pyserini.searchers import BM25Searcher

pytestmark = pytest.mark.integration

MAPPINGS = {"dynamic_templates": [{"all": {"match": "own_*", "mapping": {"type": "keyword"}}}]}


def documents(count: int = 12) -> dict[str, dict[str, Any]]:
    return {f"d{i}": {"text": f"one{i} two", "price": i} for i in range(count)}


def full(client: OpenSearch, index: str, doc_id: str) -> dict[str, Any]:
    source: dict[str, Any] = client.get(index=index, id=doc_id)["_source"]
    return source


class TestWritesAroundTheSwap:
    def test_each_is_carried_over_or_named(self, client: OpenSearch, index_name: str) -> None:
        alias, before = make_aliased(client, index_name), documents()
        put(client, index_name, before)

        def late(said: str) -> None:
            """What reaches the old index when the aliases have moved, and what users write to the new one by then."""
            if not said.startswith("moved"):
                return
            old_only = {"d0": {"text": "late one"}, "d1": {"price": 99}, "d8": {"price": 7}}
            for doc_id, changes in old_only.items():
                client.update(index=index_name, id=doc_id, body={"doc": changes})
            client.index(index=index_name, id="new", body={"text": "late new"})
            client.delete(index=index_name, id="d2")
            client.index(index=alias, id="mine", body={"text": "of the new index alone"})
            for doc_id, changes in {"d3": {"price": 30}, "d4": {"price": 40}, "d6": {"price": 60}}.items():
                client.update(index=alias, id=doc_id, body={"doc": changes})
            client.update(index=index_name, id="d3", body={"doc": {"price": 31}})
            client.delete(index=index_name, id="d4")
            client.delete(index=alias, id="d5")
            client.update(index=index_name, id="d5", body={"doc": {"price": 51}})
            client.update(index=index_name, id="d6", body={"doc": {"price": 60}})  # the same on both sides
            client.index(index=alias, id="both", body={"text": "here"})
            client.index(index=index_name, id="both", body={"text": "there"})
            client.delete(index=index_name, id="d7")
            client.index(index=index_name, id="d7", body={"text": "again"})

        attach(client, alias, wish(), NEW)
        replaced = replace_index(
            client, alias, "mv", lambda index, phase: filler(client, index, phase=phase), quiet=2, message=late
        )
        assert replaced.both_sides == ("both", "d3", "d4", "d5")
        assert replaced.refused == ()
        there = own_documents(client, alias)
        assert there == {
            "d0": {"text": "late one", "price": 0},
            "d1": {"text": "one1 two", "price": 99},
            "d3": {"text": "one3 two", "price": 30},
            "d4": {"text": "one4 two", "price": 40},
            "d6": {"text": "one6 two", "price": 60},
            "d7": {"text": "again"},
            "d8": {"text": "one8 two", "price": 7},
            **{f"d{i}": before[f"d{i}"] for i in (9, 10, 11)},
            "new": {"text": "late new"},
            "mine": {"text": "of the new index alone"},
            "both": {"text": "here"},
        }
        # A price has nothing to do with the vectors, which stay; another text has none yet.
        assert "mv.vectors" in full(client, alias, "d8")
        assert "mv.vectors" not in full(client, alias, "d0")
        with pytest.raises(AuthorizationException, match="blocked"):
            client.index(index=index_name, id="late", body={})
        assert filler(client, alias).backfill().written == 5  # d0, d7, new, mine, both
        assert status_of(client, alias, verify=True).complete

    def test_no_write_is_taken_for_a_moment_where_that_is_wanted(self, client: OpenSearch, index_name: str) -> None:
        alias = make_aliased(client, index_name)
        client.ingest.put_pipeline(id=f"{index_name}-twice", body=_appending("seen"))
        client.indices.put_settings(index=index_name, body={"index.final_pipeline": f"{index_name}-twice"})
        put(client, index_name, documents())
        with pytest.raises(MismatchError, match="--block-writes"):
            attach_new(client, alias)
        assert filler(client, alias).round()
        client.delete(index=alias, id="d11")

        def late(said: str) -> None:
            with pytest.raises(AuthorizationException, match="blocked"):
                client.index(index=index_name, id="late", body={})
            client.index(index=alias, id="after", body={"text": "after"})

        replaced = attach_new(client, alias, block_writes=True, message=late)
        assert replaced is not None
        assert (replaced.both_sides, replaced.written) == ((), 0)
        assert 0 < replaced.blocked_seconds < 60
        there = own_documents(client, alias)
        assert there.keys() == {*documents(11), "after"}
        # Each document has gone through the pipeline once, by whichever index.
        assert {tuple(each["seen"]) for each in there.values()} == {("x",)}


def _appending(field: str) -> dict[str, Any]:
    return {"processors": [{"append": {"field": field, "value": "x"}}]}


class TestTheNewIndex:
    def test_it_is_as_the_old_one(self, client: OpenSearch, index_name: str) -> None:
        new, old = f"{index_name}-other", index_name
        client.ingest.put_pipeline(id=f"{old}-pipe", body=_appending("seen"))
        settings = {
            "number_of_shards": 3,
            "number_of_replicas": 0,
            "default_pipeline": f"{old}-pipe",
            "refresh_interval": "7s",
            "max_result_window": 20_000,
            "gc_deletes": "90s",
            "analysis": {"analyzer": {"own": {"type": "custom", "tokenizer": "whitespace"}}},
        }
        properties = {"text": {"type": "text", "analyzer": "own"}}
        mappings = {**MAPPINGS, "_routing": {"required": True}, "_meta": {"owner": "x"}, "properties": properties}
        client.indices.create(index=old, body={"settings": {"index": settings}, "mappings": mappings})
        aliases = {
            f"{old}-write": {"is_write_index": True},
            f"{old}-part": {"filter": {"term": {"own_a": "x"}}, "index_routing": "r", "search_routing": "r,s"},
        }
        for name, body in aliases.items():
            client.indices.put_alias(index=old, name=name, body=body)
        for number in range(20):
            body = {"text": f"word{number}", "own_a": "x", "n": number, "list": [{"a": 1}, None], "big": 2**60 + 1}
            client.index(index=old, id=f"d{number}", body=body, params={"routing": f"r{number}"})
        client.indices.refresh(index=old)
        attach(client, f"{old}-write", wish(), NEW, target_name=new)
        before = client.indices.get(index=old)[old]
        client.indices.put_mapping(index=old, body={"properties": {"later": {"type": "ip"}}})
        client.index(index=f"{old}-write", id="l", body={"later": "::1", "own_b": "y"}, params={"routing": "r"})

        def late(_: str) -> None:
            # By another route than the alias, through the pipeline of the old index alone.
            client.index(index=old, id="late", body={"text": "late"}, params={"routing": "r"})

        fill = lambda index, phase: filler(client, index, phase=phase)  # noqa: E731
        replace_index(client, f"{old}-write", "mv", fill, quiet=QUIET, message=late)
        sources = own_documents(client, old)
        assert {tuple(each["seen"]) for each in sources.values()} == {("x",)}
        there = client.indices.get(index=new)[new]
        assert there["aliases"] == aliases == before["aliases"]
        mine = {"uuid", "creation_date", "provided_name", "version", "mapping"}
        kept = {name: value for name, value in before["settings"]["index"].items() if name not in mine}
        assert {name: value for name, value in there["settings"]["index"].items() if name not in mine} == kept
        attached = there["mappings"]["properties"].pop("mv")
        assert attached["properties"].keys() == {"vectors", "slim", "hash", "version"}
        assert there["mappings"]["_meta"].pop("osmv")["fields"].keys() == {"mv"}
        assert there["mappings"] == client.indices.get_mapping(index=old)[old]["mappings"]
        assert own_documents(client, new) == sources
        assert client.get(index=new, id="d3", params={"routing": "r3"})["found"]
        assert filler(client, f"{old}-write").backfill().written == 1
        # No pattern of an application's finds a document twice.
        assert client.count(index=f"{old}*")["count"] == 22

    def test_a_document_that_can_not_be_copied_is_not_left_behind(self, client: OpenSearch, index_name: str) -> None:
        alias, new = f"{index_name}-all", f"{index_name}-mv"
        mappings = {"dynamic": False, "properties": {"text": {"type": "text"}}}
        client.indices.create(index=index_name, body={"mappings": mappings, "aliases": {alias: {}}})
        put(client, alias, {**documents(), "odd": {"text": "one", "odd": "no number"}})
        attach(client, alias, wish(), NEW)
        client.indices.put_mapping(index=new, body={"properties": {"odd": {"type": "integer"}}})
        with pytest.raises(MismatchError, match=r"'odd' of .* can't be copied"):
            attach_new(client, alias)
        assert client.indices.exists_alias(index=index_name, name=alias)
        put(client, alias, {"odd": {"text": "one", "odd": 1}})
        assert attach_new(client, alias)
        assert own_documents(client, alias) == {**documents(), "odd": {"text": "one", "odd": 1}}


class TestWhatStandsInTheWay:
    def why_not(self, client: OpenSearch, name: str) -> str:
        return " | ".join(plan(client, read_host(client, name), wish()).mode(NEW).why_not)

    def test_an_index_without_an_alias_or_whole_sources(self, client: OpenSearch, index_name: str) -> None:
        alias = make_aliased(client, index_name)
        put(client, index_name, documents(3))
        client.indices.refresh(index=index_name)
        assert self.why_not(client, alias) == ""
        assert f"an alias ({alias})" in self.why_not(client, index_name)
        with pytest.raises(MismatchError, match="by its own name"):
            attach_new(client, index_name)
        assert not client.indices.exists(index=f"{index_name}-mv")
        partial = f"{index_name}-partial"
        client.indices.create(
            index=partial,
            body={"mappings": {"_source": {"excludes": ["x"]}}, "aliases": {f"{partial}-all": {}}},
        )
        client.index(index=partial, id="1", body={"text": "one", "x": 1}, params={"refresh": "true"})
        assert "out of `_source`" in self.why_not(client, f"{partial}-all")

    def test_a_template_that_would_show_the_copy_too_early(self, client: OpenSearch, index_name: str) -> None:
        alias = make_aliased(client, index_name)
        put(client, index_name, documents(3))
        body = {"index_patterns": [f"{index_name}*"], "template": {"aliases": {alias: {}}}, "priority": 900}
        client.indices.put_index_template(name=index_name, body=body)
        try:
            with pytest.raises(MismatchError, match="--target"):
                attach_new(client, alias)
        finally:
            client.indices.delete_index_template(name=index_name)
        assert not client.indices.exists(index=f"{index_name}-mv")

    def test_detached_before_the_swap_the_copy_is_gone(self, client: OpenSearch, index_name: str) -> None:
        alias, new = make_aliased(client, index_name), f"{index_name}-mv"
        put(client, index_name, documents())
        attach(client, alias, wish(), NEW)
        filler(client, alias).backfill()
        status = status_of(client, alias, verify=True)
        assert (status.mode, status.target, status.covered, status.missing) == (NEW, new, 12, 0)
        update_attachment(client, index_name, "mv", phase=TAIL)
        with pytest.raises(MismatchError, match="--mode new"):
            detach(client, alias)
        update_attachment(client, index_name, "mv", phase="")
        assert detach(client, alias).documents == 12
        assert not client.indices.exists(index=new)
        assert attachments_of(client, index_name) == ()
        assert own_documents(client, alias) == documents()

    def test_detached_after_it_the_documents_are_as_they_were(self, client: OpenSearch, index_name: str) -> None:
        alias = make_aliased(client, index_name)
        put(client, index_name, {**documents(), "none": {"price": 1}})
        attach_new(client, alias)
        assert get_attachment(client, alias).source == index_name
        words = WordEncoder()
        searcher = BM25Searcher(client, alias, encoder=words, term_encoder=words)
        with pytest.raises(MismatchError, match="in use by others"):
            searcher.set_bm25()
        assert "mv.version" in full(client, alias, "none")
        detach(client, alias)
        client.indices.refresh(index=alias)
        hits = client.search(index=alias, body={"size": 100})["hits"]["hits"]
        assert {hit["_id"]: hit["_source"] for hit in hits} == {**documents(), "none": {"price": 1}}


def test_another_process_that_still_copies_stops(client: OpenSearch, index_name: str) -> None:
    alias = make_aliased(client, index_name)
    put(client, index_name, documents())
    attach(client, alias, wish(), NEW)
    one, other = filler(client, index_name), filler(client, index_name)
    update_attachment(client, index_name, "mv", phase="swapping:another")
    with pytest.raises(MismatchError, match="being replaced"):
        one.round()
    with pytest.raises(MismatchError, match="being replaced"):
        filler(client, index_name)
    # The same command goes on where another was killed.
    assert attach_new(client, alias)
    with pytest.raises(MismatchError, match=r"no longer attached|no attached field"):
        other.round()


def test_a_copy_is_advised_where_nothing_else_is_possible(client: OpenSearch, index_name: str) -> None:
    make_index(client, index_name)
    put(client, index_name, documents(3))
    client.indices.refresh(index=index_name)
    assert plan(client, read_host(client, index_name), wish()).recommended != NEW
    client.indices.put_alias(index=index_name, name=f"{index_name}-all")
    filtered = replaced_in(wish(), filter_fields=("nowhere",))
    client.indices.put_settings(index=index_name, body={"index.mapping.total_fields.limit": 3})
    made = plan(client, read_host(client, f"{index_name}-all"), filtered)
    assert (made.recommended, made.because) == (NEW, "no other is possible")
    assert made.mode(NEW).disk_bytes > made.mode(NEW).documents > 0
