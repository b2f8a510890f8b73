"""Which of equal scores comes first: by id, as Anserini has it, also where the window cuts through them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch
from same_hits import assert_same_hits
from small_index import EVERY_RERANK, SmallIndex, make_index, make_query

from opensearch_multivector.errors import ClusterError, InputError
from opensearch_multivector.queries.first_stages import FIRST_STAGES
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

IDS = ["10", "9", "B", "a", "aa", "-1", "_x", "é", "z", "0a", "Ω", "😀", "10.0", "b c"]


@pytest.fixture(scope="module")
def small(client: OpenSearch) -> Iterator[SmallIndex]:
    name = "osmv-test-ties"
    client.indices.delete(index=name, ignore_unavailable=True)
    yield make_index(client, name)
    client.indices.delete(index=name)


@pytest.mark.parametrize("size", [1, 5, 9, len(IDS) + 2])
def test_equal_scores_are_ordered_by_id_at_the_edge_of_the_window_too(
    client: OpenSearch, index_name: str, size: int
) -> None:
    make_index(client, index_name, count=1, shards=1)
    for part in (IDS[8:], IDS[:8]):  # two segments
        lines = [line for one in part for line in ({"index": {"_id": one}}, {"text": "bees", "mv.slim": {"bee": 7}})]
        best = [{"index": {"_id": f"{part[0]} best"}}, {"text": "bees bees", "mv.slim": {"bee": 9}}]
        client.bulk(body=lines + best, index=index_name, params={"refresh": "true"})
    expected = sorted(f"{one} best" for one in (IDS[0], IDS[8])) + sorted(IDS)
    query = make_query()
    searcher = Searcher(client, index_name)
    options = {"rerank": None, "size": size, "window_size": size, "ties": "docid", "source": False}
    (bm25,) = searcher.search_many(["bees"], first_stage="bm25", **options)
    slim = searcher.search(type(query)(terms=type(query.terms).ready({"bee": 2})), first_stage="slim", **options)
    assert [hit.doc_id for hit in slim.hits] == expected[:size]
    # Of a word's count and the text's length BM25 may think otherwise: only the equal ones are looked at.
    assert [hit.doc_id for hit in bm25.hits if hit.doc_id in IDS] == sorted(IDS)[
        : len(bm25.hits) - 2 if size > 1 else 0
    ]


@pytest.mark.parametrize("stage", [name for name in FIRST_STAGES if name != "seismic"])
@pytest.mark.parametrize("rerank", [None, *sorted({"client", "native"} & set(EVERY_RERANK))])
def test_nothing_else_changes(client: OpenSearch, small: SmallIndex, stage: str, rerank: str | None) -> None:
    searcher = Searcher(client, small.name)
    options = {"first_stage": stage, "rerank": rerank, "size": 20, "window_size": 40}
    engine = searcher.search(make_query(), **options)
    docid = searcher.search(make_query(), ties="docid", **options)
    assert engine.hits
    in_order = sorted(engine.hits, key=lambda hit: (-hit.score, hit.doc_id))
    assert_same_hits(docid.hits, in_order)
    assert docid.total == engine.total


def test_a_cluster_that_orders_nothing_by_id_is_told(client: OpenSearch, small: SmallIndex) -> None:
    setting = "indices.id_field_data.enabled"
    client.cluster.put_settings(body={"persistent": {setting: False}})
    try:
        with pytest.raises(ClusterError, match=f"its setting {setting} is false: set it to true"):
            Searcher(client, small.name).search("bees", first_stage="bm25", rerank=None, ties="docid")
    finally:
        client.cluster.put_settings(body={"persistent": {setting: None}})


def test_other_words_are_refused(client: OpenSearch, small: SmallIndex) -> None:
    with pytest.raises(InputError, match="unknown ties 'id': choose of engine, docid"):
        Searcher(client, small.name).search("bees", ties="id")
