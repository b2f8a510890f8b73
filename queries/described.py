"""What a searcher knows of the field that it searches, and what it does when that has changed.

An alias may be moved to another index, and a sidecar made anew, at any moment, with another encoder, codec or
sub-fields: a query encoded for the one would find nonsense in the other. So what belongs together is one value,
`Described`, that a search takes once and keeps to its end; a result stands where nothing speaks against it:

- a hit is of an index that was not described: `MovedError`, at once;
- nothing was found, a hit was gone a round later, or there was an error: the description is read again, and where it is
  another now, so is the search;
- more or fewer shards were asked than before, as where an alias leads to one index more: the same;
- a sidecar's description is read after every search, since the name stays when it is made anew;
- and after ``refresh_after`` seconds that of an index is read before the search, which may have been made anew, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.errors import BudgetError, ClusterError, MismatchError, OsmvError
from opensearch_multivector.plugin.engine import Engine
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sidecar import Found, Sidecar
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.query_encoder import QueryEncoder
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.rounds import MovedError, Search

# How often one search is begun again before it is said that things move too fast.
MOVES = 8
REFRESH_AFTER = 30.0
# Earlier descriptions that are kept with their encoders, for aliases that go back and forth.
_KEPT = 4


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """A field as it was read, and what encodes queries for it: one value, so that no two of them get mixed."""

    found: Found
    queries: QueryEncoder

    @property
    def spec(self) -> FieldSpec:
        """The field's description, with its artifacts."""
        return self.found.spec

    @property
    def sidecar(self) -> Sidecar | None:
        """What holds the field, where it is not the index itself."""
        return self.found.sidecar


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of searches that were tried together: their results, or an error."""

    searches: list[Search]
    results: list[SearchResult]
    error: OsmvError | MovedError | None = None

    @property
    def asks_again(self) -> bool:
        """Whether the description is to be read again. Not where time is up: that would come too late."""
        if self.error is None:
            return any(search.doubtful or search.missing for search in self.searches)
        return isinstance(self.error, ClusterError | MismatchError | MovedError) and not isinstance(
            self.error, BudgetError
        )

    @property
    def is_worth_another(self) -> bool:
        """Whether to try once more though the description is as it was: an alias may have gone there and back."""
        return self.error is None and any(search.missing and search.sidecar is None for search in self.searches)

    @property
    def says_enough(self) -> bool:
        """Whether it stands where the description can't be read again: what is known says more, or says enough."""
        if self.error is not None:
            return not isinstance(self.error, MovedError)
        return all(search.degraded for search in self.searches)

    def outcome(self) -> list[SearchResult]:
        """The results. Raises the error."""
        if isinstance(self.error, MovedError):
            raise ClusterError("the alias was moved again and again while it was searched: try again") from self.error
        if self.error is not None:
            raise self.error
        return self.results


@dataclass(slots=True)
class Descriptions:
    """The descriptions that a searcher has had; threads may share it.

    ``encoder``, ``term_encoder``: given by the user, for the field as it is at first.
    """

    first: FieldSpec
    encoder: Encoder | None
    term_encoder: TermEncoder | None
    refresh_after: float
    clock: Callable[[], float] = time.monotonic
    _known: list[Described] = field(default_factory=list)
    _engines: dict[tuple[str, ...], Engine] = field(default_factory=dict)
    _shards: dict[tuple[str | None, ...], int] = field(default_factory=dict)
    _encoding: threading.RLock = field(default_factory=threading.RLock)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _read_at: float = 0.0

    @property
    def current(self) -> Described:
        """As last read."""
        return self._known[-1]

    def is_old(self) -> bool:
        """Whether it is time to read the index's description again; says so to one who asks, and not to the others."""
        with self._lock:
            if self.current.sidecar is not None or self.clock() - self._read_at < self.refresh_after:
                return False
            self._read_at = self.clock()
            return True

    def known(self, found: Found) -> FieldSpec | None:
        """The same description with its artifacts, where they have been read."""
        return next((known.spec for known in self._known if known.spec == found.spec), None)

    def take(self, found: Found) -> Described:
        """What was read, its artifacts among it, becomes the current description. Raises MismatchError."""
        with self._lock:
            self._read_at = self.clock()
            if self._known and self.current.found == found:
                return self.current
            same = next((known for known in self._known if known.spec == found.spec), None)
            queries = same.queries if same else self._query_encoder(found.spec)
            described = Described(found, queries)
            # A new list: whoever reads the old one is not disturbed.
            self._known = [*(known for known in self._known if known.found != found), described][-_KEPT:]
            return described

    def same_shards(self, described: Described, searches: Iterable[Search]) -> bool:
        """Whether as many shards were asked as ever with this description; at first nobody knows."""
        same = True
        for search in searches:
            for index, count in search.shards.items():
                place = (*_place(described), index)
                same = same and self._shards.get(place) == count
                self._shards[place] = count
        return same

    def engine(self, described: Described) -> Engine | None:
        """What was learnt of the engine for these indices."""
        return self._engines.get(_place(described))

    def learn(self, described: Described, engine: Engine) -> Engine:
        """Remember what lasts of it."""
        if engine.lasting:
            self._engines[_place(described)] = engine
        return engine

    def check_query(self, described: Described, query: str | EncodedQuery) -> None:
        """Raise MismatchError where a query brings vectors or terms that were made for the field as it was at first."""
        if isinstance(query, str):
            return
        made = query.vectors is not None or query.pooled is not None
        if (made and described.spec.vectors != self.first.vectors) or (
            query.terms is not None and described.spec.terms != self.first.terms
        ):
            raise MismatchError(
                "the index is one of another encoder now, and the query brings vectors or terms for the earlier: make "
                "them, and the searcher, anew"
            )

    def _query_encoder(self, spec: FieldSpec) -> QueryEncoder:
        encoders: list[Encoder | None] = [self.encoder]
        term_encoders: list[TermEncoder | None] = [self.term_encoder]
        for known in self._known:
            encoder, term_encoder = known.queries.loaded
            encoders.append(encoder)
            term_encoders.append(term_encoder)
        if not self._known:  # what the user gives must fit the field that it is given for
            return QueryEncoder(spec, self.encoder, self.term_encoder, self._encoding)
        fitting = (each for each in encoders if each and spec.vectors and each.fingerprint == spec.vectors.fingerprint)
        terms = (each for each in term_encoders if each and spec.terms and each.fingerprint == spec.terms.fingerprint)
        return QueryEncoder(spec, next(fitting, None), next(terms, None), self._encoding)


def _place(described: Described) -> tuple[str, ...]:
    sidecar = described.sidecar
    return (sidecar.name,) if sidecar else tuple(sorted(described.found.indices))
