"""A search as a sequence of rounds, without I/O.

`plan` is a generator: it yields the requests of one round, is sent their responses, and returns the result. Who runs
it (a sync client, an async one, a batch over `_msearch`) only carries requests and responses, so every line of search
logic is here once.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.explain import TokenSpans, token_matches
from opensearch_multivector.queries.first_stages import FirstStage, parse_first_stage
from opensearch_multivector.queries.fusion import reciprocal_rank_fusion
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.rerankers import RERANKERS, Key, Reranker, ids_query, key_of
from opensearch_multivector.queries.rerankers.client import blob_of, blob_parts
from opensearch_multivector.queries.results import Hit, SearchResult

Body: TypeAlias = dict[str, Any]
Response: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Round:
    """Requests that can go out together. ``stage`` is what their time is booked under."""

    stage: Literal["first_stage", "rerank_fetch", "fetch"]
    bodies: list[Body]
    routing: str | None = None


Plan: TypeAlias = Generator[Round, list[Response], SearchResult]


@dataclass(slots=True)
class _Candidates:
    """The first stage's ranking, best first, and the raw hits by key."""

    ranking: list[tuple[Key, float]]
    hits: dict[Key, dict[str, Any]]
    total: int
    took: float


def plan(spec: FieldSpec, request: SearchRequest, query: EncodedQuery, spans: TokenSpans | None) -> Plan:
    """Plan one search. ``spans`` finds token spans for `explain`; None: tokens are named by their position.

    The result's ``timings`` hold only what is computed here; the runner adds what it measured.
    """
    stages = parse_first_stage(request.first_stage)
    reranker = RERANKERS[request.rerank] if request.rerank else None
    if reranker is not None:
        reranker.check(spec)
    timings: dict[str, float] = {}

    carries = reranker is not None and reranker.reads_first_stage and len(stages) == 1
    parts = reranker.parts(spec) if reranker is not None and carries else {}
    bodies = [_first_stage_body(stage, spec, request, query, parts) for stage in stages]
    candidates = _candidates((yield Round("first_stage", bodies, request.routing)), request.window_size)
    timings["first_stage_took"] = candidates.took

    ranking = candidates.ranking
    skipped: dict[str, str] = {}
    if reranker is not None and ranking:
        assert query.vectors is not None
        hits: Sequence[dict[str, Any]] = list(candidates.hits.values())
        if not carries:
            body = reranker.body(spec, query.vectors, [doc_id for (_, doc_id), _ in ranking])
            (response,) = yield Round("rerank_fetch", [body], request.routing)
            hits = response["hits"]["hits"]
        ranking, skipped = _rerank(reranker, spec, query.vectors, ranking, hits, timings)
    if request.min_score is not None:
        ranking = [(key, score) for key, score in ranking if score >= request.min_score]

    page = ranking[request.offset : request.offset + request.size]
    first_scores = dict(candidates.ranking)
    found = [Hit(key[1], score, key[0], first_scores[key]) for key, score in page]
    if found and (request.source is not False or request.explain):
        (response,) = yield Round("fetch", [_fetch_body(spec, request, found)], request.routing)
        found = _with_sources(spec, request, query, found, response, spans)
    return SearchResult(found, candidates.total, len(candidates.ranking), skipped, timings)


def _first_stage_body(
    stage: FirstStage, spec: FieldSpec, request: SearchRequest, query: EncodedQuery, parts: Body
) -> Body:
    clause = stage.dsl(spec, query, request.window_size, request.filter)
    return {"query": clause, "size": request.window_size, "_source": False, **parts}


def _candidates(responses: list[Response], window_size: int) -> _Candidates:
    hits: dict[Key, dict[str, Any]] = {}
    rankings: list[list[tuple[Key, float]]] = []
    for response in responses:
        rankings.append([(key_of(hit), hit["_score"]) for hit in response["hits"]["hits"]])
        hits |= {key_of(hit): hit for hit in response["hits"]["hits"]}
    if len(rankings) == 1:
        ranking = rankings[0]
    else:
        ranking = reciprocal_rank_fusion([[key for key, _ in scored] for scored in rankings])[:window_size]
    return _Candidates(
        ranking,
        hits,
        total=max(response["hits"]["total"]["value"] for response in responses),
        took=sum(response["took"] for response in responses),
    )


def _rerank(
    reranker: Reranker,
    spec: FieldSpec,
    query: FloatArray,
    ranking: list[tuple[Key, float]],
    hits: Sequence[dict[str, Any]],
    timings: dict[str, float],
) -> tuple[list[tuple[Key, float]], dict[str, str]]:
    start = time.perf_counter()
    reranked = reranker.read(spec, query, hits)
    # Equal scores keep the first stage's order. A candidate deleted between the two rounds has no score and is gone.
    scored = [(key, reranked.scores[key]) for key, _ in ranking if key in reranked.scores]
    scored.sort(key=lambda item: -item[1])
    timings["rerank"] = (time.perf_counter() - start) * 1e3
    return scored, reranked.skipped


def _fetch_body(spec: FieldSpec, request: SearchRequest, found: list[Hit]) -> Body:
    source: bool | list[str] = request.source
    if request.explain and isinstance(source, list):
        source = [*source, *spec.text_fields]
    clause = {"bool": {"filter": [ids_query([hit.doc_id for hit in found])]}}
    body: Body = {"query": clause, "size": len(found), "_source": source if source is not False else request.explain}
    return body | (blob_parts(spec) if request.explain else {})


def _with_sources(
    spec: FieldSpec,
    request: SearchRequest,
    query: EncodedQuery,
    found: list[Hit],
    response: Response,
    spans: TokenSpans | None,
) -> list[Hit]:
    fetched = {key_of(hit): hit for hit in response["hits"]["hits"]}
    complete: list[Hit] = []
    for hit in found:
        raw = fetched.get((hit.index, hit.doc_id))
        if raw is None:  # deleted between the rounds
            continue
        hit = replace(hit, source=raw.get("_source", {}))
        if request.explain and query.vectors is not None:
            hit = replace(hit, matches=token_matches(spec, query, hit.source, blob_of(spec, raw), spans))
        complete.append(hit)
    return complete
