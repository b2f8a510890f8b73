"""What the user's index denies, has changed or has lost is not shown, or marked; what its sidecar lacks is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from attached_index import AttachedIndex, ids, make_attached, remove_attached
from node_under_test import SINCE_3_3
from opensearchpy import OpenSearch
from small_index import EVERY_RERANK, make_query

from opensearch_multivector.errors import InputError
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

QUERY = make_query()
GONE = {f"d{i:03}" for i in (*range(0, 12, 3), *range(13, 20), 25)}


@pytest.fixture(scope="module")
def thinned(client: OpenSearch) -> Iterator[AttachedIndex]:
    """Its user has deleted `GONE`, of which the sidecar does not know yet."""
    name = "osmv-test-thinned"
    remove_attached(client, name)
    made = make_attached(client, name, count=30, shards=1)
    for doc_id in GONE:
        made.delete(doc_id)
    yield made
    remove_attached(client, name)


@pytest.mark.parametrize("rerank", [None, *EVERY_RERANK])
@pytest.mark.parametrize("stage", ["dense", "query", "bm25+dense", "tokens", "dense+slim"])
def test_what_is_gone_makes_room_for_the_next(
    stage: str, rerank: str | None, client: OpenSearch, thinned: AttachedIndex
) -> None:
    options = {"first_stage": stage, "rerank": rerank, "window_size": 30}
    everything = ids(Searcher(client, thinned.sidecar).search(QUERY, **options, size=30)) if stage != "query" else []
    searcher = Searcher(client, thinned.name)
    left = ids(searcher.search(QUERY, size=30, **options))
    assert not GONE & set(left)
    if stage not in ("query", "bm25+dense"):
        assert left == [doc_id for doc_id in everything if doc_id not in GONE]
        assert GONE & set(everything[:10])
    assert ids(searcher.search(QUERY, size=10, **options)) == left[:10]
    pages = [searcher.search(QUERY, size=4, offset=offset, **options) for offset in range(0, 16, 4)]
    assert [doc_id for page in pages for doc_id in ids(page)] == left[:16]
    assert all(hit.source == thinned.own(hit.doc_id) for page in pages for hit in page.hits)


def test_the_users_index_has_the_last_word_on_a_filter(client: OpenSearch, make: Callable[..., AttachedIndex]) -> None:
    """The sidecar still has what a document was; and what may be read through an alias is the alias's affair."""
    attached = make(count=30, shards=1)
    tenant = {"term": {"group": "odd"}}
    searcher = Searcher(client, attached.name, tenant=tenant)
    client.indices.put_alias(index=attached.name, name=f"{attached.name}-odd", body={"filter": tenant})
    aliased = Searcher(client, f"{attached.name}-odd")
    for stage, rerank in (
        ("dense", None),
        ("dense", "client"),
        ("bm25+dense", "client"),
        ("slim", "painless" if SINCE_3_3 else "slim"),
    ):
        first = ids(searcher.search(QUERY, first_stage=stage, rerank=rerank, size=5, explain=True))
        assert ids(aliased.search(QUERY, first_stage=stage, rerank=rerank, size=5)) == first
        attached.write(first[0], group="even")
        for after in (searcher, aliased):
            for explain in (False, True):
                hits = after.search(QUERY, first_stage=stage, rerank=rerank, size=5, explain=explain).hits
                assert len(hits) == 5
                assert {hit.source["group"] for hit in hits} == {"odd"}
                assert first[0] not in [hit.doc_id for hit in hits]


def test_a_query_of_ones_own_widens_no_tenant(client: OpenSearch, attached: AttachedIndex) -> None:
    searcher = Searcher(client, attached.name, tenant={"term": {"group": "odd"}})
    for clause in ({"match_all": {}}, {"term": {"group": "even"}}, {"bool": {"must_not": {"term": {"group": "odd"}}}}):
        for stage, rerank in (("query", None), ("query", "client"), ("query+dense", "client")):
            hits = searcher.search(replace(QUERY, dsl=clause), first_stage=stage, rerank=rerank, size=40).hits
            assert {hit.source["group"] for hit in hits} <= {"odd"}
    lookup = {"terms": {"number": {"index": attached.name, "id": "d000", "path": "number"}}}
    with pytest.raises(InputError, match="the query's dsl beside a tenant"):
        searcher.search(replace(QUERY, dsl=lookup), first_stage="query")


def test_a_document_written_since_is_marked_stale(client: OpenSearch, make: Callable[..., AttachedIndex]) -> None:
    attached = make(count=12)
    searcher = Searcher(client, attached.name)
    for stage, rerank in (("dense", "client"), ("dense", None), ("bm25", "client"), ("bm25+dense", None)):
        result = searcher.search(QUERY, first_stage=stage, rerank=rerank)
        assert result.stale == 0
        first, second, *_ = ids(result)
        seq_no = attached.write(first, lang="fr")
        attached.write(second)
        attached.write_beside(first, seq_no)
        for explain in (False, True):
            result = searcher.search(QUERY, first_stage=stage, rerank=rerank, explain=explain)
            assert {hit.doc_id for hit in result.hits if hit.stale} == {second}
            assert result.stale == 1
        attached.write_beside(second, attached.write(second))


def test_a_stale_hit_is_not_explained_by_its_new_words(client: OpenSearch, make: Callable[..., AttachedIndex]) -> None:
    attached = make(count=12)
    searcher = Searcher(client, attached.name)

    def spans(text: str, kind: str) -> np.ndarray:
        """The first characters of a text, one for each token that it has, as an encoder might give them."""
        vectors = QUERY.vectors if kind == "query" else attached.whole.vectors[text.split()[0]]
        assert vectors is not None
        return np.array([(i, i + 1) for i in range(len(vectors))], np.int32)

    searcher.queries.spans = lambda: spans  # type: ignore[method-assign]
    for stage, rerank in (("dense", "client"), ("bm25", None)):
        options: dict[str, Any] = {"first_stage": stage, "rerank": rerank, "explain": True}
        first, second, *_ = searcher.search(QUERY, **options).hits
        assert all(match.document_span is not None for hit in (first, second) for match in hit.matches or ())
        attached.write(first.doc_id)
        hits = {hit.doc_id: hit for hit in searcher.search(QUERY, **options).hits}
        assert [match.document_span for match in hits[first.doc_id].matches or ()] == [None] * 5
        assert hits[second.doc_id] == second


def test_what_is_not_in_the_sidecar_is_named(client: OpenSearch, make: Callable[..., AttachedIndex]) -> None:
    attached = make(count=12, shards=1)
    searcher = Searcher(client, attached.name)
    options: dict[str, Any] = {"first_stage": "bm25", "size": 12}
    first, second, third, *others = ids(searcher.search(QUERY, rerank="client", **options))
    client.delete(index=attached.sidecar, id=first, params={"refresh": "true"})
    attached.write_beside(second, 10_000, **{"mv.vectors": "AAAA"})
    for rerank in EVERY_RERANK:
        if rerank in ("client", "native"):
            result = searcher.search(QUERY, rerank=rerank, **options)
            assert ids(result) == [third, *others]
            assert result.skipped.keys() == {first, second}
            assert "osmv backfill" in result.skipped[first]
    attached.delete(second)
    # Found by the sidecar alone, its damage is no affair of who may not see the document.
    assert second not in searcher.search(QUERY, first_stage="dense", rerank="client", size=12).skipped
    assert first in ids(searcher.search(QUERY, rerank=None, **options))


FIELDS_OF_THE_DOCUMENT: list[dict[str, Any]] = [
    {"term": {"lang": "en"}},
    {"range": {"number": {"gte": 3, "boost": 2}}},
    {"bool": {"must": {"term": {"group": "odd"}}, "must_not": [{"exists": {"field": "lang"}}]}},
    {"constant_score": {"filter": {"terms": {"lang": ["en"], "boost": 1}}}},
    {"term": {"_index": "any"}},
]
UNKNOWN: list[dict[str, Any]] = [
    {"query_string": {"query": "lang:en"}},
    {"script": {"script": "true"}},
    {"bool": {"filter": [{"wrapper": {"query": "e30="}}]}},
]


def test_a_filter_on_what_the_sidecar_lacks_is_refused(client: OpenSearch, attached: AttachedIndex) -> None:
    searcher = Searcher(client, attached.name)
    for clause in FIELDS_OF_THE_DOCUMENT:
        with pytest.raises(InputError, match=r"reads field '(lang|number|_index)'.* holds group\).*--filter-field"):
            searcher.search(QUERY, filter=clause)
    for clause in UNKNOWN:
        with pytest.raises(InputError, match="can't be told which fields it reads"):
            searcher.search_many([QUERY], first_stage="bm25+dense", filter=clause)
    # Texts are searched in the user's index, which has all fields.
    for clause in (*FIELDS_OF_THE_DOCUMENT[:2], *UNKNOWN[:2]):
        for rerank in [None, *EVERY_RERANK]:
            assert searcher.search(QUERY, first_stage="bm25", rerank=rerank, filter=clause).hits
    held = {"bool": {"should": [{"terms": {"group": ["odd"]}}, {"ids": {"values": ["d000"]}}]}}
    hits = searcher.search(QUERY, filter=held, size=40).hits
    assert {hit.doc_id for hit in hits} == {f"d{i:03}" for i in (0, *range(1, 40, 2))}
