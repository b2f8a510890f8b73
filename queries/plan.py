"""A search as a sequence of rounds, without I/O.

`plan` is a generator: it yields the requests of one round, is sent their responses, and returns the result. Who runs
it (a sync client, an async one, a batch over `_msearch`) only carries requests and responses, so every line of search
logic is here once.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Literal, TypeAlias, TypeVar

from opensearch_multivector.plugin.engine import Engine
from opensearch_multivector.plugin.fields import VECTORS, FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.explain import TokenSpans, token_matches
from opensearch_multivector.queries.first_stages import FirstStage, FirstStages, parse_first_stages
from opensearch_multivector.queries.first_stages.base import filtered
from opensearch_multivector.queries.first_stages.hybrid import Hybrid, why_not_hybrid
from opensearch_multivector.queries.fusion import best_first, fuse
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.rerankers import (
    MAX_RESPONSE_BYTES,
    Key,
    Reranked,
    Reranker,
    find,
    in_one_request,
    key_of,
    parse_rerank,
)
from opensearch_multivector.queries.rerankers.blobs import blob_of, blob_parts
from opensearch_multivector.queries.rerankers.client import vectors_bytes
from opensearch_multivector.queries.results import Hit, SearchResult

Body: TypeAlias = dict[str, Any]
Response: TypeAlias = dict[str, Any]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Round:
    """Requests that can go out together. ``stage`` is what their time is booked under.

    ``response_bytes``: about how large the responses are, where token vectors are in them. ``url_parameters``: for each
    `_search`; `_msearch` takes none of them.
    """

    stage: Literal["first_stage", "rerank_fetch", "fetch"]
    bodies: list[Body]
    routing: str | None = None
    response_bytes: int = 0
    url_parameters: Mapping[str, str] = field(default_factory=dict)


_UNKNOWN = Engine()

# Equal scores by id. The id then comes with the order, and nothing has to be read from the stored fields of each hit,
# which takes ten times as long as all else where a thousand are asked for.
_BY_DOCID = {"sort": [{"_score": "desc"}, {"_id": "asc"}], "stored_fields": "_none_"}

Plan: TypeAlias = Generator[Round, list[Response], SearchResult]


@dataclass(slots=True)
class _Candidates:
    """The first stage's ranking, best first, and the raw hits by key."""

    ranking: list[tuple[Key, float]]
    hits: dict[Key, dict[str, Any]]
    total: int
    took: float


def plan(
    spec: FieldSpec,
    request: SearchRequest,
    query: EncodedQuery,
    spans: TokenSpans | None,
    engine: Engine = _UNKNOWN,
) -> Plan:
    """Plan one search, of a request that `SearchRequest.on` has checked.

    ``spans`` finds token spans for `explain`; None: tokens are named by their position.

    ``engine``: what OpenSearch can do, for a request that leaves that open (``fusion="auto"``, ``rerank="auto"``).

    The result's ``timings`` hold only what is computed here; the runner adds what it measured.
    """
    first = parse_first_stages(request.first_stage)
    chain = parse_rerank(request.rerank, engine.scores)
    chain = in_one_request(chain)
    first = _fused_where(first, spec, request, query, engine.fuses)
    timings: dict[str, float] = {}

    page_end = request.offset + request.size
    gathered = _gathered(first, request.window_size)
    rider = _rider(first, chain, spec, query, gathered, page_end)
    bodies = [_first_stage_body(stage, spec, request, query, rider or {}) for stage in first.stages]
    response_bytes = chain[0].hit_bytes(spec) * gathered if rider else 0
    parameters = {name: value for stage in first.stages for name, value in stage.url_parameters.items()}
    responses = yield Round("first_stage", bodies, request.routing, response_bytes, parameters)
    candidates = _candidates(first, spec, request, query, responses)
    rescored = rider is not None and "rescore" in rider
    timings["first_stage_took"] = candidates.took

    ranking = candidates.ranking
    skipped: dict[str, str] = {}
    for number, reranker in enumerate(chain):
        if not ranking:
            break
        reranked = Reranked({})
        if number == 0 and rider is not None:
            hits = [candidates.hits[key] for key, _ in ranking]
            _score(reranker, spec, query, hits, reranked, timings)
        else:
            for keys in _slices([key for key, _ in ranking], reranker.hit_bytes(spec)):
                body = _held(reranker.body(spec, query, keys), request)
                response_bytes = reranker.hit_bytes(spec) * len(keys)
                (response,) = yield Round("rerank_fetch", [body], request.routing, response_bytes)
                _score(reranker, spec, query, response["hits"]["hits"], reranked, timings)
        # Equal scores keep the order there was. A candidate deleted between the rounds has no score and is gone.
        ranking = [(key, reranked.scores[key]) for key, _ in ranking if key in reranked.scores]
        ranking.sort(key=_by_score)
        ranking = ranking[: reranker.keep or None]
        skipped |= reranked.skipped
    if request.min_score is not None:
        ranking = [(key, score) for key, score in ranking if score >= request.min_score]

    page = ranking[request.offset : page_end]
    first_scores = {} if rescored else dict(candidates.ranking)
    found = [Hit(key[1], score, key[0], first_scores.get(key)) for key, score in page]
    if request.source is not False or request.explain:
        hit_bytes = vectors_bytes(spec) * 4 // 3 if request.explain else 0
        complete: list[Hit] = []
        for part in _slices(found, hit_bytes):
            body = _fetch_body(spec, request, part)
            (response,) = yield Round("fetch", [body], request.routing, hit_bytes * len(part))
            complete += _with_sources(spec, request, query, part, response, spans)
        found = complete
    handed_on = min(candidates.total, request.window_size) if rescored else len(candidates.ranking)
    return SearchResult(found, candidates.total, handed_on, skipped, timings)


def _fused_where(
    first: FirstStages, spec: FieldSpec, request: SearchRequest, query: EncodedQuery, engine_fuses: bool
) -> FirstStages:
    """The first stages, or one in place of them that is their fusion inside OpenSearch."""
    if len(first.stages) == 1 or request.fusion == "client":
        return first
    hybrid = Hybrid(stages=first.stages, weights=first.weights)
    if request.fusion == "auto" and not (
        engine_fuses
        and why_not_hybrid(first.stages) is None
        and hybrid.fits(spec, query, request.window_size, request.filter)
    ):
        return first
    return FirstStages((hybrid,))


def _gathered(first: FirstStages, window_size: int) -> int:
    """How many hits a node gathers, with all that they carry, before it answers: `hybrid` fuses fetched hits."""
    (stage, *_) = first.stages
    return window_size * (len(stage.stages) if isinstance(stage, Hybrid) else 1)


def _rider(
    first: FirstStages,
    chain: tuple[Reranker, ...],
    spec: FieldSpec,
    query: EncodedQuery,
    gathered: int,
    page_end: int,
) -> Body | None:
    """What the first stage's request takes along for the first rerank, or None where that needs another request."""
    # Where the scores are computed here, more hits come back than are handed on.
    if not chain or len(first.stages) > 1 or not first.stages[0].scored_by_engine():
        return None
    # A rescore returns the page alone, unless another rerank is to go on with what the first keeps.
    returned = page_end if len(chain) == 1 else chain[0].keep or gathered
    rider = chain[0].rider(spec, query, gathered, returned)
    # OpenSearch would rescore each of the rankings before it fuses them.
    return None if rider and "rescore" in rider and isinstance(first.stages[0], Hybrid) else rider


def _held(body: Body, request: SearchRequest) -> Body:
    """The body of a later round under the request's filter: a document may have changed since the first."""
    return body | {"query": filtered(body["query"], request.filter)}


def _first_stage_body(
    stage: FirstStage, spec: FieldSpec, request: SearchRequest, query: EncodedQuery, rider: Body
) -> Body:
    clause = stage.dsl(spec, query, request.window_size, request.filter)
    body: Body = {"query": clause, "size": request.window_size, "_source": False}
    if stage.min_score > -inf and stage.scored_by_engine():
        body["min_score"] = stage.min_score
    extra = stage.extra(spec, query, request.window_size)
    # OpenSearch rescores nothing that is sorted.
    if request.ties == "docid" and stage.scored_by_engine() and not extra and "rescore" not in rider:
        extra = _BY_DOCID
    return body | extra | rider


def _candidates(
    first: FirstStages, spec: FieldSpec, request: SearchRequest, query: EncodedQuery, responses: list[Response]
) -> _Candidates:
    hits: dict[Key, dict[str, Any]] = {}
    rankings: list[list[tuple[Key, float]]] = []
    for stage, response in zip(first.stages, responses, strict=True):
        found = response["hits"]["hits"]
        for hit in found:
            if "_id" not in hit:  # see `_BY_DOCID`
                hit["_id"] = hit["sort"][1]
        keys = [key_of(hit) for hit in found]
        scored = zip(keys, stage.scores(spec, query, found), strict=True)
        # OpenSearch has cut by its own scores, which a rescore may have changed since.
        cut = -inf if stage.scored_by_engine() else stage.min_score
        ranking = [(key, score) for key, score in scored if score >= cut]
        ranking.sort(key=_by_docid if request.ties == "docid" else _by_score)
        rankings.append(ranking[: request.window_size])
        hits.update(zip(keys, found, strict=True))
    if len(rankings) > 1:
        ranking = fuse(rankings, first.weights)[: request.window_size]
    elif isinstance(first.stages[0], Hybrid):
        ranking = best_first(rankings[0])
    else:
        (ranking,) = rankings
    return _Candidates(
        ranking,
        hits,
        total=max(response["hits"]["total"]["value"] for response in responses),
        took=sum(response["took"] for response in responses),
    )


def _by_score(item: tuple[Key, float]) -> float:
    return -item[1]


def _by_docid(item: tuple[Key, float]) -> tuple[float, str]:
    return -item[1], item[0][1]


def _slices(items: Sequence[Item], item_bytes: int) -> Iterator[Sequence[Item]]:
    """The items in as few parts as keep each response under `MAX_RESPONSE_BYTES`."""
    step = max(1, MAX_RESPONSE_BYTES // item_bytes) if item_bytes else max(1, len(items))
    for first in range(0, len(items), step):
        yield items[first : first + step]


def _score(
    reranker: Reranker,
    spec: FieldSpec,
    query: EncodedQuery,
    hits: Sequence[dict[str, Any]],
    reranked: Reranked,
    timings: dict[str, float],
) -> None:
    start = time.perf_counter()
    part = reranker.read(spec, query, hits)
    reranked.scores.update(part.scores)
    reranked.skipped.update(part.skipped)
    timings["rerank"] = timings.get("rerank", 0.0) + (time.perf_counter() - start) * 1e3


def _fetch_body(spec: FieldSpec, request: SearchRequest, found: Sequence[Hit]) -> Body:
    source: bool | list[str] = request.source
    if request.explain and isinstance(source, list):
        source = [*source, *spec.text_fields]
    keys = [(hit.index, hit.doc_id) for hit in found]
    body: Body = {**_held(find(keys), request), "_source": source if source is not False else request.explain}
    return body | (blob_parts(spec, VECTORS) if request.explain else {})


def _with_sources(
    spec: FieldSpec,
    request: SearchRequest,
    query: EncodedQuery,
    found: Sequence[Hit],
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
            hit = replace(hit, matches=token_matches(spec, query, hit.source, blob_of(spec, raw, VECTORS), spans))
        complete.append(hit)
    return complete
