"""What a search plan yields, and what all its rounds are about."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sidecar import Sidecar
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages import FirstStage
from opensearch_multivector.queries.first_stages.base import filtered
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.rerankers import MAX_RESPONSE_BYTES, Key, key_of

Body: TypeAlias = dict[str, Any]
Response: TypeAlias = dict[str, Any]
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Round:
    """Requests that can go out together. ``stage`` is what their time is booked under.

    ``indices``: for each body the index it goes to, None being the searcher's own; left out: all go there.
    ``response_bytes``: about how large the responses are, where token vectors are in them. ``url_parameters``: for each
    `_search`; `_msearch` takes none of them.
    """

    stage: Literal["first_stage", "rerank_fetch", "fetch"]
    bodies: list[Body]
    routing: str | None = None
    response_bytes: int = 0
    url_parameters: Mapping[str, str] = field(default_factory=dict)
    indices: Sequence[str | None] = ()

    @property
    def sent(self) -> Iterator[tuple[str | None, Body]]:
        """Each body with the index it goes to."""
        return zip(self.indices or [None] * len(self.bodies), self.bodies, strict=True)


Rounds: TypeAlias = Generator[Round, list[Response], Outcome]


@dataclass(frozen=True, slots=True)
class Search:
    """One search, the same for all its rounds.

    Documents go by their keys in the user's index, also where their vectors are in its ``sidecar``. ``versions``: of
    the sidecar's documents, as last seen.
    """

    spec: FieldSpec
    request: SearchRequest
    query: EncodedQuery
    sidecar: Sidecar | None = None
    versions: dict[Key, int] = field(default_factory=dict)

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

    def held(self, body: Body) -> Body:
        """The body of a later round under the request's filter: a document may have changed since the first."""
        return body | {"query": filtered(body["query"], self.request.filter)}


def slices(items: Sequence[Item], item_bytes: int) -> Iterator[Sequence[Item]]:
    """The items in as few parts as keep each response under `MAX_RESPONSE_BYTES`."""
    step = max(1, MAX_RESPONSE_BYTES // item_bytes) if item_bytes else max(1, len(items))
    for first in range(0, len(items), step):
        yield items[first : first + step]


def by_key(hits: Iterable[dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    """Hits by the document's key."""
    return {key_of(hit): hit for hit in hits}
