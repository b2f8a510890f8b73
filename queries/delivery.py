"""How the requests of rounds are sent: which together, with what time, and which again. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal, TypeAlias

from opensearchpy.exceptions import ConnectionTimeout, OpenSearchException, TransportError

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.cluster_errors import describe
from opensearch_multivector.queries.retries import pause_before_retry
from opensearch_multivector.queries.rounds import GARBLED, Body, Response, Round, Search

# What a round got: its responses, or why there are none.
Answer: TypeAlias = list[Response] | ClusterError

# Of the time that is left, what OpenSearch gets: the rest is for its partial answer to arrive.
_ENGINE_SHARE = 0.85
# Of the time that is left, what a rerank in the first stage's own request gets: without it the request must fit, too.
_RESCORED_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Call:
    """One request: ``kind`` is the client's method, ``arguments`` are its own. ``pause``: seconds to wait before it.

    ``hedge_after``: after so many seconds without an answer a second one is sent beside it.
    """

    kind: Literal["search", "msearch"]
    arguments: dict[str, Any]
    pause: float
    hedge_after: float | None

    def copies(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arguments of the first and of the second request: of different copies of each shard, where there are."""
        return self._of("_primary_first"), self._of("_replica_first")

    def _of(self, preference: str) -> dict[str, Any]:
        if self.kind == "search":
            return self.arguments | {"params": self.arguments["params"] | {"preference": preference}}
        lines = self.arguments["body"]
        body = [line | {"preference": preference} if i % 2 == 0 else line for i, line in enumerate(lines)]
        return self.arguments | {"body": body}


@dataclass(slots=True)
class _Item:
    """One request of a round, until it is answered."""

    search: Search
    round: Round
    index: str | None
    body: Body
    answer: Response | ClusterError | None = None

    @property
    def left(self) -> float:
        left = self.search.budget.left(*self.round.shares)
        return left * _RESCORED_SHARE if self.round.rescored and self.search.request.degrade else left


@dataclass(slots=True)
class Delivery:
    """Rounds of one or more searches on their way to ``index``, all at the same time.

    Whoever sends asks for the `next_call`, and reports its `answered` or `failed`, until there is none.
    """

    index: str
    rounds: list[tuple[Search, Round]]
    _items: list[_Item] = field(init=False)
    _sent: list[_Item] = field(init=False, default_factory=list)
    _kind: Literal["search", "msearch"] = "search"
    _attempts: int = 0
    _pause: float = 0.0
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._items = [
            _Item(search, round_, index, body) for search, round_ in self.rounds for index, body in round_.sent
        ]

    def next_call(self) -> Call | None:
        """What to send now; None: all is answered, one way or the other."""
        for item in self._waiting():
            if item.left <= 0:
                item.answer = item.search.budget.error(*item.round.shares)
        waiting = self._waiting()
        if not waiting:
            return None
        together = len(waiting) > 1 and all(not item.round.url_parameters for item in waiting)
        self._sent = waiting if together else waiting[:1]
        self._kind = "msearch" if together else "search"
        (first, *_) = self._sent
        limit = max(item.left for item in self._sent)
        params: dict[str, Any] = {} if limit == inf else {"request_timeout": limit}
        pause, self._pause = self._pause, 0.0
        self._since = first.search.budget.clock() + pause
        hedge_after = first.search.request.hedge_after
        if together:
            lines = [line for item in self._sent for line in (_header(item), _timed(item))]
            arguments = {"body": lines, "index": self.index, "params": params}
            return Call(self._kind, arguments, pause, hedge_after)
        params |= first.round.url_parameters
        if first.round.routing is not None:
            params["routing"] = first.round.routing
        arguments = {"body": _timed(first), "index": first.index or self.index, "params": params}
        return Call(self._kind, arguments, pause, hedge_after)

    def answered(self, response: Any, hedged: bool = False) -> None:
        """The last call's response."""
        self._book(self._sent, hedged)
        parts: Any = [response]
        if self._kind == "msearch":
            parts = response.get("responses") if isinstance(response, dict) else None
        if not isinstance(parts, list) or len(parts) != len(self._sent):
            parts = [None] * len(self._sent)
        refused: list[tuple[_Item, Exception]] = []
        for item, part in zip(self._sent, parts, strict=True):
            if isinstance(part, dict) and "error" in part:
                error = part["error"]
                kind = error.get("type") if isinstance(error, dict) else str(error)
                refused.append((item, TransportError(part.get("status", 500), kind, part)))
            else:
                item.answer = part if isinstance(part, dict) else ClusterError(GARBLED)
        self._refused(refused)

    def failed(self, error: OpenSearchException, hedged: bool = False) -> None:
        """The last call came to nothing."""
        self._book(self._sent, hedged, failed=True)
        self._refused([(item, error) for item in self._sent])

    def answers(self) -> list[Answer]:
        """For each round, in order: what it got."""
        items = iter(self._items)
        found: list[Answer] = []
        for _, round_ in self.rounds:
            parts = [next(items).answer for _ in round_.bodies]
            errors = [part for part in parts if isinstance(part, ClusterError)]
            found.append(errors[0] if errors else [part for part in parts if isinstance(part, dict)])
        return found

    def _waiting(self) -> list[_Item]:
        return [item for item in self._items if item.answer is None]

    def _refused(self, refused: list[tuple[_Item, Exception]]) -> None:
        """Leave waiting what is to be tried again."""
        self._attempts = self._attempts + 1 if refused else 0
        for item, error in refused:
            pause = pause_before_retry(error, self._attempts, item.left)
            if pause is None:
                item.answer = _told(item, error)
            else:
                self._pause = max(self._pause, pause)

    def _book(self, items: list[_Item], hedged: bool, failed: bool = False) -> None:
        """The time that the call took, once for each search that waited for it."""
        for search, round_ in {id(item.search): (item.search, item.round) for item in items}.values():
            share = "rerank" if round_.rescored and failed else round_.shares[0]
            search.budget.spend(share, search.budget.clock() - self._since)
            search.hedged += hedged


def _header(item: _Item) -> dict[str, Any]:
    header: dict[str, Any] = {"index": item.index} if item.index else {}
    return header if item.round.routing is None else header | {"routing": item.round.routing}


def _timed(item: _Item) -> Body:
    """The body, with the time that OpenSearch has for it."""
    if item.left == inf:
        return item.body
    return item.body | {"timeout": f"{max(1, int(item.left * _ENGINE_SHARE * 1e3))}ms"}


def _told(item: _Item, error: Exception) -> ClusterError:
    """What is said of a request that came to nothing."""
    told = ClusterError(describe(error))
    if isinstance(error, ConnectionTimeout) and item.search.budget.left(*item.round.shares) < inf:
        told = item.search.budget.error(*item.round.shares)
    told.__cause__ = error
    return told
