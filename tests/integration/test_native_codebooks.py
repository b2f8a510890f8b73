"""`native` over the residual codecs: nodes load the codebook from the cluster by themselves, and only once."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from node_under_test import needs_native
from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, RequestError
from small_index import SmallIndex, codebook, make_index, make_query
from test_native_search import assert_same, by_key, searched

from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.plugin.artifacts import ARTIFACT_INDEX
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [
    pytest.mark.integration,
    needs_native,
]

QUERY = make_query()
RESIDUAL = ["residual1", "residual2", "residual4"]


def loads(client: OpenSearch) -> int:
    """How many codebooks the nodes have read from the cluster."""
    nodes = client.transport.perform_request("GET", "/_plugins/_multivector/stats")["nodes"].values()
    return sum(int(node["codebooks"]["loads"]) for node in nodes)


def maxsim(small: SmallIndex, **changes: Any) -> dict[str, Any]:
    """The query's JSON."""
    assert QUERY.vectors is not None
    vectors = base64.b64encode(encode_blob(QUERY.vectors, "f32")).decode()
    named = {"field": "mv.vectors", "query_vectors": vectors, "codebook": small.spec.artifacts["codebook"]} | changes
    return {"query": {"maxsim": {key: value for key, value in named.items() if value is not None}}, "size": 60}


@pytest.mark.parametrize("codec", RESIDUAL)
def test_a_codebook_is_read_once_and_every_way_to_score_finds_it(
    client: OpenSearch, index_name: str, codec: str
) -> None:
    small = make_index(client, index_name, codec=codec)
    searcher = Searcher(client, index_name)
    expected = searched(searcher, "client")
    assert len(expected) == 60
    for rerank in ("native", "auto"):
        assert_same(searched(searcher, rerank), expected)
    before = loads(client)
    fused = {"first_stage": "bm25+dense"}
    assert_same(searched(searcher, "native", **fused), searched(searcher, "client", **fused))
    assert_same(searched(searcher, "native:score=max"), searched(searcher, "client:score=max"))
    kept = by_key(searched(searcher, "bit:keep=30>native", size=15))
    assert len(kept) == 15
    full = by_key(expected)
    assert kept == pytest.approx({key: full[key] for key in kept}, rel=1e-4)
    assert QUERY.vectors is not None
    hits = client.search(index=index_name, body=maxsim(small))["hits"]["hits"]
    raw = {(hit["_index"], hit["_id"]): hit["_score"] - len(QUERY.vectors) for hit in hits}
    assert raw == pytest.approx(full, rel=1e-4)
    assert loads(client) == before


def test_a_blob_of_another_codebook_costs_its_own_document(client: OpenSearch, index_name: str) -> None:
    small = make_index(client, index_name, count=20, codec="residual2")
    foreign = encode_blob(small.vectors["d003"], "residual2", codebook(13))
    body = small.body("d003") | {"mv.vectors": base64.b64encode(foreign).decode()}
    client.index(index=index_name, id="d003", body=body, params={"refresh": "true"})
    result = Searcher(client, index_name).search(QUERY, rerank="native", size=20)
    assert len(result.hits) == 19
    assert set(result.skipped) == {"d003"}


def test_requests_that_name_no_codebook_or_one_that_is_gone(client: OpenSearch, index_name: str) -> None:
    small = make_index(client, index_name, count=20, codec="residual4")
    with pytest.raises(RequestError, match=r"residual4 need the codebook .* name its id as \[codebook\]"):
        client.search(index=index_name, body=maxsim(small, codebook=None))
    with pytest.raises(RequestError, match=r"\[codebook\] is \[x\]: it must be the 16 hex digits"):
        client.search(index=index_name, body=maxsim(small, codebook="x"))
    with pytest.raises(NotFoundError, match=rf"codebook \[0123456789abcdef\] is missing.*\[{ARTIFACT_INDEX}\]"):
        client.search(index=index_name, body=maxsim(small, codebook="0123456789abcdef"))


def test_a_codebook_that_nobody_needs_is_not_asked_for(client: OpenSearch, index_name: str) -> None:
    small = make_index(client, index_name, count=20, codec="int8")
    assert "codebook" in small.spec.artifacts
    searcher = Searcher(client, index_name)
    known = searcher._descriptions
    other = replace(searcher.spec, artifacts={"codebook": "0123456789abcdef"})
    known.take(replace(known.current.found, spec=other))
    assert searcher.spec == other
    assert len(searched(searcher, "native")) == 20
