"""The rerank `native` without a cluster: what goes out, how scores are read back, what `auto` is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.encoding.codecs import CODECS, decode_blob
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.plugin.engine import Engine
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.sub_fields import Bits, Dense
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.plan import plan
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.rerankers import in_one_request, parse_rerank
from opensearch_multivector.queries.rerankers.client import Client
from opensearch_multivector.queries.rerankers.native import Native
from opensearch_multivector.queries.rounds import Search

CODEBOOK = Codebook(np.eye(4, dtype=np.float32), np.full(4, 0.25, np.float32), {}, {}, 1.0, 2.0)
READY = EncoderRef(READY_VECTORS, "none")
SPEC = FieldSpec(
    "mv",
    4,
    "int8",
    READY,
    sub_fields=(Bits(), Dense()),
    artifacts={"codebook": CODEBOOK.id},
    state={"codebook": CODEBOOK},
)
QUERY = EncodedQuery(text="a b", vectors=np.eye(3, 4, dtype=np.float32), pooled=np.ones(4, np.float32) / 2)


def hits(**scores: float) -> list[dict[str, Any]]:
    return [{"_index": "i", "_id": doc_id, "_score": score} for doc_id, score in scores.items()]


def bent(raw: float, n: int) -> float:
    """What OpenSearch sees of a raw score: n f(S / n), f(x) = 1 + x where x >= 0, else 1 / (1 - x)."""
    x = raw / n
    return n * (1 + x if x >= 0 else 1 / (1 - x))


@given(st.floats(-100, 100))
def test_raw_scores_are_read_back(raw: float) -> None:
    for native, n in ((Native(), 3), (Native(first=2), 2), (Native(score="max"), 1)):
        read = native.read(SPEC, QUERY, hits(a=bent(raw, n)))
        assert read.scores["i", "a"] == pytest.approx(raw, rel=1e-9, abs=1e-9)


def test_the_query_goes_out_as_a_blob_of_its_first_vectors() -> None:
    rescore = Native(first=2, score="max").rider(SPEC, QUERY, 50, 10)
    assert rescore["size"] == 10
    assert rescore["rescore"]["window_size"] == 50
    maxsim = rescore["rescore"]["maxsim"]
    assert (maxsim["field"], maxsim["score"], "first" in maxsim) == ("mv.vectors", "max", False)
    np.testing.assert_array_equal(decode_blob(pybase64.b64decode(maxsim["query_vectors"])), QUERY.vectors[:2])


@pytest.mark.parametrize("codec", CODECS)
def test_the_codebook_is_named_where_the_codec_has_one(codec: str) -> None:
    maxsim = Native().rider(replace(SPEC, codec=codec), QUERY, 50, 10)["rescore"]["maxsim"]
    assert maxsim.get("codebook") == (CODEBOOK.id if codec.startswith("residual") else None)


def test_a_chain_from_bit_is_one_request() -> None:
    assert in_one_request(parse_rerank("bit:keep=100>native")) == (Native(bits=100, keep=100),)
    longer = in_one_request(parse_rerank("bit:keep=100 > native:keep=20 > client"))
    assert longer == (Native(bits=100, keep=20), Client())
    (native,) = parse_rerank("native:bits=30")
    body = native.body(SPEC, QUERY, [("i", "a"), ("i", "b")])
    assert body["rescore"]["maxsim"]["first"] == {"field": "mv.bits", "keep": 30}
    # Where `bit` hands on all there is nothing to save, and a chain that can't be is refused as ever.
    assert [step.name for step in in_one_request(parse_rerank("bit>native"))] == ["bit", "native"]
    with pytest.raises(InputError, match="can't keep more"):
        parse_rerank("bit:keep=10>native:keep=20")


def test_what_has_no_score_is_skipped_unless_bits_left_it_out() -> None:
    found = hits(a=4.0, b=3.5, c=0.0)
    assert set(Native().read(SPEC, QUERY, found).skipped) == {"c"}
    assert set(Native(bits=2).read(SPEC, QUERY, found).skipped) == set()
    assert set(Native(bits=3).read(SPEC, QUERY, found).skipped) == {"c"}
    assert ("i", "c") not in Native().read(SPEC, QUERY, found).scores


@pytest.mark.parametrize(
    ("rerank", "message"),
    [
        ("native:score=ot", "sum_max and max, not 'ot': use client"),
        ("native:first=-1", "can't be negative"),
        ("native:bits=10,keep=20", "can't keep 20 of the 10"),
        ("auto:keep=3", "unknown rerank 'auto'"),
    ],
)
def test_what_it_can_not_do_is_said(rerank: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SearchRequest(QUERY, rerank=rerank)


def test_what_the_index_lacks_is_said() -> None:
    with pytest.raises(MismatchError, match="--sub-field bits"):
        Native(bits=10).check(replace(SPEC, sub_fields=(Dense(),)))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("scores", [True, False])
def test_auto_is_native_where_the_engine_scores(codec: str, scores: bool) -> None:
    request = SearchRequest(QUERY)
    assert request.asks_engine
    running = plan(Search(replace(SPEC, codec=codec), request, QUERY), None, Engine(scores=scores))
    (body,) = next(running).bodies
    assert ("rescore" in body) is scores
    assert ("docvalue_fields" in body) is not ("rescore" in body)


def test_auto_is_one_step_of_a_chain() -> None:
    assert parse_rerank("bit:keep=9>auto") == parse_rerank("bit:keep=9>client")
    assert parse_rerank("bit:keep=9>auto", native=True) == parse_rerank("bit:keep=9>native")
    assert not SearchRequest(QUERY, rerank="bit:keep=9>native", size=5).asks_engine
    assert not SearchRequest(QUERY, rerank=None).asks_engine
