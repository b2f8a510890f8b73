"""The first round of a search: its candidates, from one first stage or from several fused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.queries.first_stages import FirstStage, FirstStages, parse_first_stages
from opensearch_multivector.queries.first_stages.hybrid import Hybrid, why_not_hybrid
from opensearch_multivector.queries.fusion import best_first, fuse
from opensearch_multivector.queries.rerankers import Key, Reranker, key_of
from opensearch_multivector.queries.rounds import Body, Response, Round, Rounds, Search, ask

# Equal scores by id. The id then comes with the order, and nothing has to be read from the stored fields of each hit,
# which takes ten times as long as all else where a thousand are asked for.
_BY_DOCID = {"sort": [{"_score": "desc"}, {"_id": "asc"}], "stored_fields": "_none_"}


@dataclass(slots=True)
class Candidates:
    """The first stage's ranking, best first, and the raw hits by key.

    ``rider``: what the request took along for the first rerank, which then reads ``hits``; None: it took nothing.
    ``failed``: why OpenSearch could not rerank, so that nothing shall.
    """

    ranking: list[tuple[Key, float]]
    hits: dict[Key, dict[str, Any]]
    total: int
    took: float
    rider: Body | None
    failed: ClusterError | None = None

    @property
    def rescored(self) -> bool:
        """Whether OpenSearch itself has reranked, so that the scores are the rerank's."""
        return self.rider is not None and "rescore" in self.rider


def find_candidates(search: Search, chain: tuple[Reranker, ...], engine_fuses: bool) -> Rounds[Candidates]:
    """Ask the first stages; ``chain`` is what goes on with what they find."""
    first = _fused_where(parse_first_stages(search.request.first_stage), search, engine_fuses)
    gathered = _gathered(first, search.request.window_size)
    rider = _rider(first, chain, search, gathered)
    hit_bytes = chain[0].hit_bytes(search.spec) * gathered if rider else 0
    try:
        responses = yield from ask(search, _round(first, search, rider, hit_bytes))
    except ClusterError as error:
        if not (search.request.degrade and rider and "rescore" in rider):
            raise
        # Where the same succeeds without the rerank, it was the rerank that failed.
        responses = yield from ask(search, _round(first, search, None))
        return replace(_candidates(first, search, responses, None), failed=error)
    return _candidates(first, search, responses, rider)


def _round(first: FirstStages, search: Search, rider: Body | None, response_bytes: int = 0) -> Round:
    return Round(
        "first_stage",
        [_body(stage, search, rider or {}) for stage in first.stages],
        search.request.routing,
        response_bytes,
        {name: value for stage in first.stages for name, value in stage.url_parameters.items()},
        [search.index_of(stage) for stage in first.stages],
        rescored=rider is not None and "rescore" in rider,
    )


def _fused_where(first: FirstStages, search: Search, engine_fuses: bool) -> FirstStages:
    """The first stages, or one in place of them that is their fusion inside OpenSearch."""
    spec, request = search.spec, search.request
    apart = search.sidecar is not None and any(stage.of_text for stage in first.stages)
    if len(first.stages) == 1 or request.fusion == "client" or apart:
        return first
    hybrid = Hybrid(stages=first.stages, weights=first.weights)
    if request.fusion == "auto" and not (
        engine_fuses
        and why_not_hybrid(first.stages) is None
        and hybrid.fits(spec, search.query, request.window_size, request.filter)
    ):
        return first
    return FirstStages((hybrid,))


def _gathered(first: FirstStages, window_size: int) -> int:
    """How many hits a node gathers, with all that they carry, before it answers: `hybrid` fuses fetched hits."""
    (stage, *_) = first.stages
    return window_size * (len(stage.stages) if isinstance(stage, Hybrid) else 1)


def _rider(first: FirstStages, chain: tuple[Reranker, ...], search: Search, gathered: int) -> Body | None:
    """What the first stage's request takes along for the first rerank, or None where that needs another request."""
    (stage, *others) = first.stages
    # Where the scores are computed here, more hits come back than are handed on.
    if not chain or others or not stage.scored_by_engine() or search.index_of(stage) != search.vectors_in:
        return None
    # A rescore returns the page alone, unless another rerank is to go on with what the first keeps, or hits of the
    # page may be gone from the user's index.
    whole = len(chain) > 1 or search.sidecar is not None
    returned = chain[0].keep or gathered if whole else search.request.offset + search.request.size
    rider = chain[0].rider(search.spec, search.query, gathered, returned)
    # OpenSearch would rescore each of the rankings before it fuses them.
    return None if rider and "rescore" in rider and isinstance(stage, Hybrid) else rider


def _body(stage: FirstStage, search: Search, rider: Body) -> Body:
    spec, request = search.spec, search.request
    clause = stage.dsl(spec, search.query, request.window_size, request.filter)
    body: Body = {"query": clause, "size": request.window_size, "_source": False}
    if not stage.of_text:
        body = search.of_vectors(body)
    if stage.min_score > -inf and stage.scored_by_engine():
        body["min_score"] = stage.min_score
    extra = stage.extra(spec, search.query, request.window_size)
    # OpenSearch rescores nothing that is sorted.
    if request.ties == "docid" and stage.scored_by_engine() and not extra and "rescore" not in rider:
        extra = _BY_DOCID
    return body | extra | rider


def _candidates(first: FirstStages, search: Search, responses: list[Response], rider: Body | None) -> Candidates:
    request = search.request
    hits: dict[Key, dict[str, Any]] = {}
    rankings: list[list[tuple[Key, float]]] = []
    for stage, response in zip(first.stages, responses, strict=True):
        found = response["hits"]["hits"]
        for hit in found:
            if "_id" not in hit:  # see `_BY_DOCID`
                hit["_id"] = hit["sort"][1]
        keys = [key_of(hit) for hit in search.here(found)]
        scored = zip(keys, stage.scores(search.spec, search.query, found), strict=True)
        # OpenSearch has cut by its own scores, which a rescore may have changed since.
        cut = -inf if stage.scored_by_engine() else stage.min_score
        ranking = [(key, score) for key, score in scored if score >= cut]
        ranking.sort(key=_by_docid if request.ties == "docid" else by_score)
        rankings.append(ranking[: request.window_size])
        hits.update(zip(keys, found, strict=True))
    if len(rankings) > 1:
        ranking = fuse(rankings, first.weights)[: request.window_size]
    elif isinstance(first.stages[0], Hybrid):
        ranking = best_first(rankings[0])
    else:
        (ranking,) = rankings
    return Candidates(
        ranking,
        hits,
        total=max(response["hits"]["total"]["value"] for response in responses),
        took=sum(response["took"] for response in responses),
        rider=rider,
    )


def by_score(item: tuple[Key, float]) -> float:
    """Sorts a ranking: best first."""
    return -item[1]


def _by_docid(item: tuple[Key, float]) -> tuple[float, str]:
    return -item[1], item[0][1]
