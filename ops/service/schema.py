"""What goes over the service's API: its requests and answers, from which the OpenAPI document is made too.

Requests are strict: what is not named here, or of another JSON type, is refused. Spans are character ranges
[start, end), in Unicode code points, of the text that stands beside them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Span: TypeAlias = tuple[int, int]
MAX_PARTS = 8
MAX_SEARCHES = 16
# What a query is cut at by its encoder is far less; what is longer is nobody's query.
MAX_TEXT = 10_000
# Base64 of four megabytes.
MAX_IMAGE = 5_600_000
MAX_NAME = 255

IndexName: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
FieldName: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class Asked(BaseModel):
    """Base of what clients send."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, allow_inf_nan=False)


class Told(BaseModel):
    """Base of what they get."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(Asked):
    """One part of a query: a text, or an image where the index's encoder takes images.

    The score is the sum of the parts' MaxSim scores, each times its weight; a negative one means "less like this".
    """

    text: Annotated[str, Field(max_length=MAX_TEXT)] | None = None
    image: Annotated[str, Field(max_length=MAX_IMAGE, description="PNG, JPEG or WebP, in base64.")] | None = None
    weight: Annotated[float, Field(ge=-10, le=10)] = 1.0

    @model_validator(mode="after")
    def _one_of_both(self) -> Part:
        if (self.text is None) == (self.image is None):
            raise ValueError("a part is a text or an image, one of both")
        if self.weight == 0:
            raise ValueError("a part of weight 0 says nothing: leave it out")
        return self


class Query(Asked):
    """What is searched for: a text, or parts of which one at least has a positive weight."""

    index: IndexName
    field: FieldName = "mv"
    query: Annotated[str, Field(max_length=MAX_TEXT)] | None = None
    parts: Annotated[list[Part], Field(min_length=1, max_length=MAX_PARTS)] | None = None
    routing: Annotated[str, Field(max_length=MAX_NAME)] | None = None

    @model_validator(mode="after")
    def _one_query(self) -> Query:
        if (self.query is None) == (self.parts is None):
            raise ValueError("give a query or parts, one of both")
        if self.parts and not any(part.weight > 0 for part in self.parts):
            raise ValueError("at least one part needs a positive weight")
        return self


class Search(Query):
    """A search; its options are those of `Searcher.search`.

    ``rerank``: null for none. ``compare``: the first stage's own order beside the final one. ``filter`` and ``dsl``
    (for first stage "query") only where the service allows them.
    """

    first_stage: Annotated[str, Field(max_length=500)] = "dense"
    rerank: Annotated[str, Field(max_length=500)] | None = "auto"
    fusion: Literal["auto", "engine", "client"] = "auto"
    ties: Literal["engine", "docid"] = "engine"
    size: Annotated[int, Field(ge=0, le=1000)] = 10
    offset: Annotated[int, Field(ge=0, le=10_000)] = 0
    window_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    filter: dict[str, Any] | None = None
    dsl: dict[str, Any] | None = None
    source: bool | Annotated[list[Annotated[str, Field(max_length=MAX_NAME)]], Field(max_length=100)] = True
    min_score: float | None = None
    explain: bool = False
    compare: bool = False
    time_budget: Annotated[float, Field(ge=0.01, le=60)] | None = None
    degrade: bool = True


class SearchMany(Asked):
    """Several searches; each is answered or fails by itself."""

    searches: Annotated[list[Search], Field(min_length=1, max_length=MAX_SEARCHES)]


class Explain(Query):
    """One document explained by a query; ``hit_index``: its index, where ``index`` is an alias of several.

    ``matrix``: all similarities, too, for a heat map.
    """

    doc_id: Annotated[str, Field(min_length=1, max_length=512)]
    hit_index: IndexName | None = None
    matrix: bool = True


class TokenMatch(Told):
    """A query token and the document token that it is most like.

    ``contribution``: what the pair adds to the score, its similarity times the part's weight. ``query_span`` is in the
    part's text, ``document_span`` in the hit's; null for special tokens and an image's patches.
    """

    part: int
    query_token: str
    document_token: str
    similarity: float
    contribution: float
    query_span: Span | None
    document_span: Span | None


class Hit(Told):
    """A found document. ``text``: what was encoded of its source, to which spans refer; "" where there is none.

    ``first_stage_rank``: from 1, where the search asked to compare and the first stage has it in its window.
    ``part_scores``: each part's MaxSim without its weight, where there are several and the search asked to explain.
    ``stale``: the score may be that of an earlier text.
    """

    rank: int
    doc_id: str
    index: str
    score: float
    first_stage_score: float | None
    first_stage_rank: int | None = None
    part_scores: list[float] | None = None
    source: dict[str, Any]
    text: str
    matches: list[TokenMatch] | None = None
    stale: bool = False


class FirstStageHit(Told):
    """A document where the first stage alone ranks it; ``final_rank``: where it is now, null beyond the page."""

    rank: int
    doc_id: str
    index: str
    score: float
    final_rank: int | None
    text: str


class Stage(Told):
    """A bar of the waterfall, in milliseconds since the request came in.

    ``name``: "queue" (waiting for its turn), "encode", "first_stage", "rerank_fetch", "rerank", "fetch", "negative"
    (scores of the parts to be less like), "compare". ``within``: another stage that it is a part of:
    "first_stage_took", the engine's own time.
    """

    name: str
    start: float
    duration: float
    within: str | None = None


class QueryPart(Told):
    """A part as it was searched for. ``text`` is null for an image; ``tokens``: how many vectors it became."""

    kind: Literal["text", "image"]
    text: str | None
    weight: float
    tokens: int | None


class SearchAnswer(Told):
    """The page of hits and how it came about; see `SearchResult`.

    ``first_stage_hits``: where the search asked to compare. ``total``: matches, of which the engine counts 10,000.
    ``skipped``: reasons by document id. ``degraded``: what is missing from the answer and why; empty: it is whole.
    """

    request_id: str
    index: str
    field: str
    first_stage: str
    rerank: str | None
    parts: list[QueryPart]
    hits: list[Hit]
    first_stage_hits: list[FirstStageHit] | None
    total: int
    candidates: int
    skipped: dict[str, str]
    degraded: list[str]
    stale: int
    hedged: int
    stages: list[Stage]
    took_ms: float


class Fault(Told):
    """What went wrong, in a sentence; ``code`` is one of those in docs/serve.md."""

    code: str
    message: str
    request_id: str


class FaultAnswer(Told):
    """The body of every answer that is an error."""

    error: Fault


class SearchManyAnswer(Told):
    """For each search its answer or its error, in their order."""

    answers: list[SearchAnswer | FaultAnswer]


class QueryToken(Told):
    """A query token; ``span`` is in the text of its part, null for special tokens and patches."""

    part: int
    token: str
    span: Span | None
    weight: float


class DocumentToken(Told):
    """A document token; ``span`` is in the document's text, null for special tokens and patches."""

    token: str
    span: Span | None


class ExplainAnswer(Told):
    """``matrix[i][j]``: similarity of query token i and document token j, without weights; null where not asked for.

    ``score`` is the weighted sum of the parts' MaxSim. ``matches``: one for each query token, in their order.
    """

    request_id: str
    index: str
    doc_id: str
    score: float
    part_scores: list[float]
    source: dict[str, Any]
    text: str
    stale: bool
    query_tokens: list[QueryToken]
    document_tokens: list[DocumentToken]
    matches: list[TokenMatch]
    matrix: list[list[float]] | None


class Caller(Told):
    """Who asks, and what they may. ``needs_token``: this service answers nobody without one.

    ``operator``: may see status, canaries, probe, figures and metrics, and counts. ``filters``: may send ``filter``
    and ``dsl``. ``indices``: patterns.
    """

    name: str
    needs_token: bool
    operator: bool
    filters: bool
    bound: bool
    indices: list[str]
    version: str
