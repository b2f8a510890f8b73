"""Rerank `client` with another score or with fewer query vectors, on the real node against plain NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from opensearchpy import OpenSearch
from small_index import SmallIndex, make_index, make_query

from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.encoding.query_tokens import by_cover, by_words
from opensearch_multivector.encoding.scores.ot import optimal_transport
from opensearch_multivector.errors import InputError
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.rerankers import parse_rerank
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

TEXT = "the otter, in a sea"
SPANS = [(0, 0), (0, 3), (4, 9), (9, 10), (11, 13), (14, 15), (16, 19)]
QUERY = replace(make_query(3, len(SPANS)), text=TEXT, offsets=np.array(SPANS, np.int32))
assert QUERY.vectors is not None
VECTORS = QUERY.vectors


@pytest.fixture(scope="module")
def small(client: OpenSearch) -> Iterator[SmallIndex]:
    name = "osmv-test-client-options"
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    yield make_index(client, name)
    client.indices.delete(index=name)


@pytest.fixture(scope="module")
def searcher(client: OpenSearch, small: SmallIndex) -> Searcher:
    return Searcher(client, small.name)


def ranked(searcher: Searcher, rerank: str, query: EncodedQuery = QUERY, size: int = 60) -> list[tuple[str, float]]:
    hits = searcher.search(query, rerank=rerank, size=size, window_size=60, source=False).hits
    return [(hit.doc_id, hit.score) for hit in hits]


@pytest.mark.parametrize(
    ("rerank", "score"),
    [
        ("client:score=max", lambda document: float((VECTORS @ document.T).max())),
        ("client:score=ot", lambda document: float(optimal_transport(document @ VECTORS.T, [len(document)])[0])),
        ("client:first=2", lambda document: maxsim(VECTORS[:2], document)),
        ("client:tokens=0.3", lambda document: maxsim(by_cover(VECTORS, 0.3), document)),
        ("client:first=4,tokens=0.5", lambda document: maxsim(by_cover(VECTORS[:4], 0.5), document)),
        ("client:tokens=0.28,by=words", lambda document: maxsim(VECTORS[[2, 6]], document)),
    ],
)
def test_scores_are_their_formula(
    small: SmallIndex, searcher: Searcher, rerank: str, score: Callable[[np.ndarray], float]
) -> None:
    expected = sorted(((doc_id, score(document)) for doc_id, document in small.vectors.items()), key=lambda p: -p[1])
    found = ranked(searcher, rerank)
    assert [doc_id for doc_id, _ in found] == [doc_id for doc_id, _ in expected]
    assert [value for _, value in found] == pytest.approx([value for _, value in expected], rel=1e-5, abs=1e-5)


def test_a_cheap_pass_chooses_and_the_whole_query_decides(small: SmallIndex, searcher: Searcher) -> None:
    assert len(by_words(VECTORS, 0.28, TEXT, np.array(SPANS, np.int32))) == 2
    cheap = [doc_id for doc_id, _ in ranked(searcher, "client:tokens=0.3")][:20]
    expected = sorted(((doc_id, maxsim(VECTORS, small.vectors[doc_id])) for doc_id in cheap), key=lambda p: -p[1])
    found = ranked(searcher, "client:tokens=0.3,keep=20>client", size=20)
    assert [doc_id for doc_id, _ in found] == [doc_id for doc_id, _ in expected]
    assert [value for _, value in found] == pytest.approx([value for _, value in expected], rel=1e-5)


def test_words_need_a_text(searcher: Searcher) -> None:
    for lacking in (replace(QUERY, text=None), replace(QUERY, offsets=None)):
        with pytest.raises(InputError, match="needs the query's text and the offsets"):
            ranked(searcher, "client:tokens=0.5,by=words", lacking)


@pytest.mark.parametrize(
    ("rerank", "reason"),
    [
        ("client:score=mean", "unknown score 'mean': choose one of sum_max, max, ot"),
        ("client:tokens=0", "a share above 0 and at most 1"),
        ("client:tokens=1.5", "a share above 0 and at most 1"),
        ("client:first=-1", "first of rerank 'client' can't be negative"),
        ("client:by=luck", "cover or words, not 'luck'"),
        ("client:score=ot,tokens=0.5", "has no place for weights of tokens: give by=words"),
        ("client:keep=-1", "keep of rerank 'client' can't be negative"),
    ],
)
def test_options_that_make_no_sense_are_refused(rerank: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_rerank(rerank)
