"""What a search plan yields, and what all its rounds are about."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from opensearch_multivector.errors import BudgetError, ClusterError, MismatchError
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sidecar import Sidecar
from opensearch_multivector.queries.breaker import Breaker
from opensearch_multivector.queries.budget import Budget
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages import FirstStage
from opensearch_multivector.queries.first_stages.base import filtered
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.rerankers import MAX_RESPONSE_BYTES, Key, key_of

GARBLED = "the answer is JSON, but none to a search: is the address a proxy's? Check the URL."

Body: TypeAlias = dict[str, Any]
Response: TypeAlias = dict[str, Any]
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Round:
    """Requests that can go out together. ``stage`` is what their time is booked under.

    ``indices``: for each body the index it goes to, None being the searcher's own; left out: all go there.
    ``response_bytes``: about how large the responses are, where token vectors are in them. ``url_parameters``: for each
    `_search`; `_msearch` takes none of them. ``rescored``: OpenSearch reranks what it finds at once.
    """

    stage: Literal["first_stage", "rerank_fetch", "fetch"]
    bodies: list[Body]
    routing: str | None = None
    response_bytes: int = 0
    url_parameters: Mapping[str, str] = field(default_factory=dict)
    indices: Sequence[str | None] = ()
    rescored: bool = False

    @property
    def shares(self) -> tuple[str, ...]:
        """The stages of `budget` whose time the requests take."""
        if self.rescored:
            return "first_stage", "rerank"
        return ("rerank" if self.stage == "rerank_fetch" else self.stage,)

    @property
    def sent(self) -> Iterator[tuple[str | None, Body]]:
        """Each body with the index it goes to."""
        return zip(self.indices or [None] * len(self.bodies), self.bodies, strict=True)


Rounds: TypeAlias = Generator[Round, list[Response], Outcome]


class MovedError(Exception):
    """A hit is of an index that the field's description was not read from: an alias leads elsewhere since."""


@dataclass(slots=True)
class Search:
    """One search, the same for all its rounds, and what was seen in the course of it.

    Documents go by their keys in the user's index, also where their vectors are in its ``sidecar``. ``indices``: those
    that ``spec`` describes; None: any. ``versions``: of the sidecar's documents, as last seen. ``degraded``: see
    `SearchResult`. ``doubtful``: it could be that an alias was moved since ``spec`` was read; ``missing``: or in the
    midst of the search, since what one round found was gone in the next. ``hedged``: requests that were sent twice.
    ``fetched_bytes``: see `SearchResult`.
    ``shards``: how many were asked, by the index as a round names it, where no routing leads to some of them.
    """

    spec: FieldSpec
    request: SearchRequest
    query: EncodedQuery
    sidecar: Sidecar | None = None
    indices: frozenset[str] | None = None
    budget: Budget = field(default_factory=Budget)
    breaker: Breaker = field(default_factory=Breaker)
    versions: dict[Key, int] = field(default_factory=dict)
    degraded: list[str] = field(default_factory=list)
    doubtful: bool = False
    missing: bool = False
    hedged: int = 0
    fetched_bytes: int = 0
    shards: dict[str | None, int] = field(default_factory=dict)

    def index_of(self, stage: FirstStage) -> str | None:
        """Where a first stage is asked, as a round names it."""
        return None if stage.of_text else self.vectors_in

    @property
    def vectors_in(self) -> str | None:
        """Where `F.*` are, as a round names it."""
        return self.sidecar.name if self.sidecar else None

    def there(self, keys: Sequence[Key]) -> Sequence[Key]:
        """Documents as the index that holds `F.*` knows them."""
        return [(self.sidecar.name, doc_id) for _, doc_id in keys] if self.sidecar else keys

    def here(self, hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Hits as the user's index knows them, of which those from the sidecar carry a version."""
        for hit in hits:
            if self.sidecar is not None and hit["_index"] == self.sidecar.name:
                hit["_index"] = self.sidecar.index
                self.versions[key_of(hit)] = hit["_version"]
        return hits

    def of_vectors(self, body: Body) -> Body:
        """A request for `F.*`: what else it asks of a sidecar."""
        return body | {"version": True} if self.sidecar else body

    def give_up(self, stage: str, error: ClusterError | str) -> None:
        """Go on without a stage, and say so."""
        self.doubtful |= isinstance(error, ClusterError) and not isinstance(error, BudgetError)
        self.degraded.append(f"{stage}: {error}")

    def look_at(self, stage: str, response: Response) -> None:
        """Raise where a response is not what was asked for, or not whole; a first stage's may be, where that is wanted.

        MismatchError: a shard found vectors of another dimension. ClusterError: shards failed, or this is no answer to
        a search. BudgetError: OpenSearch stopped at the time it was given. MovedError.
        """
        try:
            shards = response.get("_shards", {})
            failures = shards.get("failures", ())
            # Those that are on no node, such as right after a restart, are counted as neither failed nor successful.
            failed = max(shards.get("failed", 0), shards.get("total", 0) - shards.get("successful", 0))
            late = response.get("timed_out", False)
            indices = {hit["_index"] for hit in response["hits"]["hits"]}
        except (AttributeError, KeyError, TypeError) as error:
            raise ClusterError(GARBLED) from error
        for failure in failures:
            if failure["reason"]["type"] == "dimension_mismatch":
                raise MismatchError(f"index {failure['index']!r}: {failure['reason']['reason']}")
        for incomplete in (_failed(failed, failures) if failed else None, self._late(stage) if late else None):
            if incomplete and not (self.request.degrade and stage == "first_stage"):
                raise incomplete
            if incomplete:
                self.doubtful |= not isinstance(incomplete, BudgetError)
                self.give_up("first_stage", f"only part of what there is was searched; {incomplete}")
        named = self.indices
        if named is not None and self.sidecar is not None:
            named = named | {self.sidecar.name, self.sidecar.index}
        if named is not None and not indices <= named:
            raise MovedError
        self.doubtful |= stage == "first_stage" and not indices

    def _late(self, stage: str) -> ClusterError:
        share = "rerank" if stage == "rerank_fetch" else stage
        if self.budget.limits:
            return self.budget.error(share)
        return BudgetError("OpenSearch stopped the search at its own time limit (search.default_search_timeout).")

    def held(self, body: Body) -> Body:
        """The body of a later round under the request's filter: a document may have changed since the first."""
        return body | {"query": filtered(body["query"], self.request.filter)}


def ask(search: Search, round_: Round) -> Rounds[list[Response]]:
    """A round's responses, each of which is whole, or marked as not; raises as `Search.look_at`."""
    responses = yield round_
    for (index, _), response in zip(round_.sent, responses, strict=True):
        search.look_at(round_.stage, response)
        if round_.routing is None and "_shards" in response:
            search.shards[index] = response["_shards"]["total"]
    return responses


def _failed(count: int, failures: Sequence[dict[str, Any]]) -> ClusterError:
    reasons = {f"{each['reason'].get('type')}: {each['reason'].get('reason')}" for each in failures}
    told = f" ({'; '.join(sorted(reasons)[:2])})" if reasons else ""
    return ClusterError(
        f"{count} of the shards could not be searched{told}: see to the cluster, or take what there is (degrade=True, "
        "--degrade)."
    )


def slices(items: Sequence[Item], item_bytes: int) -> Iterator[Sequence[Item]]:
    """The items in as few parts as keep each response under `MAX_RESPONSE_BYTES`."""
    step = max(1, MAX_RESPONSE_BYTES // item_bytes) if item_bytes else max(1, len(items))
    for first in range(0, len(items), step):
        yield items[first : first + step]


def by_key(hits: Iterable[dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    """Hits by the document's key."""
    return {key_of(hit): hit for hit in hits}
