"""What is asked and what goes out, without a cluster: the query layer does no I/O of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.encoding.subvector_terms import SubvectorCodebook
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.first_stages import FIRST_STAGES, parse_first_stages
from opensearch_multivector.queries.first_stages.slim import MAX_CLAUSES, Slim
from opensearch_multivector.queries.fusion import reciprocal_rank_fusion
from opensearch_multivector.queries.plan import plan
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.rerankers import MAX_RESPONSE_BYTES, RERANKERS
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.rounds import Round, Search
from opensearch_multivector.queries.transport import batches

READY = EncoderRef(READY_VECTORS, "none")
SPEC = FieldSpec(
    "mv",
    4,
    "f32",
    READY,
    terms=READY,
    sub_fields=tuple(cls() for cls in sub_fields.SUB_FIELDS.values()),
    state={
        "codebook": Codebook(np.eye(4, dtype=np.float32), np.full(4, 0.25, np.float32), {}, {}, 1.0, 2.0),
        "subvectors": SubvectorCodebook(np.arange(12, dtype=np.float32).reshape(2, 3, 2)),
    },
)
WEIGHTS = {"bee": 2.0, "dance": 1.0}
QUERY = EncodedQuery(
    text="bee dance",
    vectors=np.eye(2, 4, dtype=np.float32),
    pooled=np.ones(4, np.float32) / 2,
    terms=QueryTerms(upper=WEIGHTS, fused=WEIGHTS),
    dsl={"match": {"text": "bee"}},
)


@pytest.mark.parametrize("name", FIRST_STAGES)
def test_every_first_stage_takes_a_filter_and_leaves_it_whole(name: str) -> None:
    clause = {"term": {"lang": "en"}}
    stage = FIRST_STAGES[name]()
    assert "lang" in str(stage.dsl(SPEC, QUERY, 10, clause))
    assert "lang" not in str(stage.dsl(SPEC, QUERY, 10, None))
    assert clause == {"term": {"lang": "en"}}


def test_slim_is_one_linear_clause_per_term() -> None:
    clauses = Slim().dsl(SPEC, QUERY, 10, None)["bool"]["should"]
    assert clauses == [
        {"rank_feature": {"field": "mv.slim.bee", "boost": 2.0, "linear": {}}},
        {"rank_feature": {"field": "mv.slim.dance", "boost": 1.0, "linear": {}}},
    ]


def test_slim_keeps_the_heaviest_terms_under_the_engine_limit() -> None:
    weights = {f"t{i}": float(i + 1) for i in range(3000)}
    query = EncodedQuery(terms=QueryTerms(upper=weights, fused=weights))
    clauses = Slim().dsl(SPEC, query, 10, None)["bool"]["should"]
    assert len(clauses) == MAX_CLAUSES < 1024
    assert min(clause["rank_feature"]["boost"] for clause in clauses) == 3000 - MAX_CLAUSES + 1


def test_stages_say_which_sub_field_is_missing() -> None:
    bare = FieldSpec("mv", 4, "f32", READY, sub_fields=())
    for part in (*FIRST_STAGES.values(), *RERANKERS.values()):
        if part.sub_field is not None:
            with pytest.raises(
                MismatchError, match=rf"needs mv\.{part.sub_field.name}.*--sub-field {part.sub_field.name}"
            ):
                part().check(bare)


def test_first_stage_expressions() -> None:
    assert [stage.name for stage in parse_first_stages("bm25 + dense").stages] == ["bm25", "dense"]
    for wrong in ("", "bm25+", "nothing", "slim+slim"):
        with pytest.raises(InputError):
            parse_first_stages(wrong)


def test_only_what_is_needed_is_encoded() -> None:
    assert SearchRequest("q", first_stage="bm25", rerank=None).needs == {"text"}
    assert SearchRequest("q", first_stage="dense").needs == {"pooled", "vectors"}
    assert SearchRequest("q", first_stage="bm25+slim", rerank=None).needs == {"text", "terms"}
    assert SearchRequest("q", first_stage="bm25", rerank=None, explain=True).needs == {"text", "vectors"}


@given(st.lists(st.permutations(range(6)), min_size=1, max_size=4))
def test_rrf_is_its_formula(rankings: list[list[int]]) -> None:
    fused = reciprocal_rank_fusion(rankings)
    expected = {doc: sum(1 / (60 + ranking.index(doc) + 1) for ranking in rankings) for doc in range(6)}
    assert dict(fused) == pytest.approx(expected)
    scores = [score for _, score in fused]
    assert scores == sorted(scores, reverse=True)


def answer(hits: list[dict[str, Any]]) -> dict[str, Any]:
    return {"took": 1, "hits": {"total": {"value": len(hits)}, "hits": hits}}


def run(request: SearchRequest, answers: list[list[dict[str, Any]]]) -> tuple[list[Round], SearchResult]:
    """Run a plan by hand: the rounds it asked for, and its result."""
    running = plan(Search(SPEC, request, QUERY), None)
    rounds = [next(running)]
    for responses in answers:
        try:
            rounds.append(running.send(responses))
        except StopIteration as stop:
            return rounds, stop.value
    raise AssertionError("the plan wants another answer")


def raw_hit(doc_id: str, score: float, vectors: np.ndarray) -> dict[str, Any]:
    import base64

    blob = base64.b64encode(encode_blob(vectors, "f32")).decode().rstrip("=")
    return {"_index": "i", "_id": doc_id, "_score": score, "fields": {"mv.vectors": [blob]}}


ONE = raw_hit("one", 2.0, np.array([[1, 0, 0, 0]], np.float32))
BOTH = raw_hit("both", 1.0, np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32))


def test_a_lone_stage_carries_the_blobs_and_saves_a_round() -> None:
    rounds, result = run(SearchRequest(QUERY, source=False), [[answer([ONE, BOTH])]])
    assert [each.stage for each in rounds] == ["first_stage"]
    assert rounds[0].bodies[0]["docvalue_fields"] == ["mv.vectors"]
    assert [(hit.doc_id, hit.score, hit.first_stage_score) for hit in result.hits] == [("both", 2, 1), ("one", 1, 2)]


def test_where_opensearch_rescores_only_the_page_is_fetched() -> None:
    request = SearchRequest(QUERY, rerank="painless", window_size=50, size=2, offset=3, source=False)
    answered = answer([raw_hit(f"d{i}", 9.0 - i, np.eye(1, 4, dtype=np.float32)) for i in range(5)])
    answered["hits"]["total"]["value"] = 50
    rounds, result = run(request, [[answered]])
    (body,) = rounds[0].bodies
    assert (body["size"], body["rescore"]["window_size"]) == (5, 50)
    assert [(hit.doc_id, hit.score, hit.first_stage_score) for hit in result.hits] == [("d3", 4, None), ("d4", 3, None)]
    assert result.candidates == 50


def test_a_fusion_fetches_blobs_for_the_fused_window_only() -> None:
    request = SearchRequest(QUERY, first_stage="bm25+dense", window_size=1, size=1, source=False)
    rounds, result = run(request, [[answer([BOTH]), answer([BOTH, ONE])], [answer([BOTH])]])
    assert [each.stage for each in rounds] == ["first_stage", "rerank_fetch"]
    assert all("docvalue_fields" not in body for body in rounds[0].bodies)
    assert "both" in str(rounds[1].bodies)
    assert "one" not in str(rounds[1].bodies)
    assert result.candidates == 1


def test_a_document_deleted_between_the_rounds_is_gone_and_nothing_else() -> None:
    request = SearchRequest(QUERY, first_stage="bm25+dense")
    found = [answer([ONE, BOTH]), answer([BOTH, ONE])]
    _, result = run(request, [found, [answer([BOTH])], [answer([BOTH])]])
    assert [hit.doc_id for hit in result.hits] == ["both"]
    _, result = run(request, [found, [answer([ONE, BOTH])], [answer([ONE])]])
    assert [hit.doc_id for hit in result.hits] == ["one"]


def test_nothing_found_needs_no_further_round() -> None:
    rounds, result = run(SearchRequest(QUERY), [[answer([])]])
    assert len(rounds) == 1
    assert result.hits == []


def test_min_score_is_of_the_final_score() -> None:
    _, result = run(SearchRequest(QUERY, min_score=1.5, source=False), [[answer([ONE, BOTH])]])
    assert [hit.doc_id for hit in result.hits] == ["both"]


def test_no_response_carries_more_vectors_than_a_node_can_bear() -> None:
    """1,000 candidates of a large model come in several rounds, and give what one round would have given."""
    large = FieldSpec("mv", 4096, "f32", READY)
    query = EncodedQuery(vectors=np.eye(2, 4096, dtype=np.float32), pooled=np.ones(4096, np.float32))
    hits = [raw_hit(f"d{i}", 1.0, np.eye(1, 4096, dtype=np.float32) * i) for i in range(40)]
    request = SearchRequest(query, size=40, window_size=40, source=False)
    running = plan(Search(large, request, query), None)
    round_ = next(running)
    assert "docvalue_fields" not in round_.bodies[0]
    round_ = running.send([answer(hits)])
    asked: list[str] = []
    result = None
    while result is None:
        assert round_.response_bytes <= MAX_RESPONSE_BYTES
        (body,) = round_.bodies
        wanted = body["query"]["bool"]["filter"][0]["ids"]["values"]
        asked += wanted
        try:
            round_ = running.send([answer([hit for hit in hits if hit["_id"] in wanted])])
        except StopIteration as stop:
            result = stop.value
    assert asked == [f"d{i}" for i in range(40)]
    assert [hit.doc_id for hit in result.hits] == [f"d{i}" for i in reversed(range(40))]


def test_a_batch_is_split_where_its_responses_are_large() -> None:
    rounds = [Round("rerank_fetch", [{}], response_bytes=MAX_RESPONSE_BYTES // 3) for _ in range(7)]
    parts = list(batches(list(enumerate(rounds))))
    assert [[number for number, _ in part] for part in parts] == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_routing_that_is_no_text() -> None:
    with pytest.raises(InputError, match="routing holds half a surrogate pair"):
        SearchRequest("bees", routing="a\udfff")
    assert SearchRequest("bees", routing="käfer").routing == "käfer"
