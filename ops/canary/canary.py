"""A canary: queries, their exact answers, and what of the index these are answers of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, replace
from dataclasses import field as member
from typing import Any

import numpy as np
import pybase64

from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.plugin.stored_types import read_back
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.request import SearchRequest

NO_RERANK = "none"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Canary:
    """What a canary is held to; its queries and answers are kept beside it.

    ``index``: the name that is searched, maybe an alias; ``field``, and ``sidecar`` where its name was given. ``uuid``:
    of the index that holds the vectors; ``fingerprint``: of all that decides what is stored for a text. ``queries``:
    how many; ``source``: where they come from. A check searches each of ``first_stages`` with each of ``reranks``
    ("none" among them), ``k`` hits of ``window_size`` candidates, and fails on a recall or overlap below
    ``min_recall`` or more than ``max_drop`` below the baseline's.
    ``graphs``: k-NN stages are also held against their exact nearest neighbours.
    ``generation``: of the answers; ``horizons``: up to which sequence number of each shard they are of; ``documents``
    were there, ``share`` of which were scored; of these ``unreadable`` had vectors that can't be read.
    """

    name: str
    index: str
    field: str
    uuid: str
    fingerprint: str
    source: str
    queries: int
    sidecar: str | None = None
    k: int = 10
    window_size: int = 100
    first_stages: tuple[str, ...] = ("dense",)
    reranks: tuple[str, ...] = ("auto",)
    min_recall: float = 0.0
    max_drop: float = 0.05
    graphs: bool = True
    generation: int = 1
    horizons: tuple[int, ...] = ()
    documents: int = 0
    share: float = 1.0
    unreadable: int = 0
    made_at: float = 0.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"a canary's name is of at most 64 small letters, digits and . _ -, of which {self.name!r} is not"
            )
        if not 1 <= self.k <= 100:
            raise InputError(f"k of a canary is from 1 to 100, not {self.k}")
        for option, value in (("min_recall", self.min_recall), ("max_drop", self.max_drop)):
            if not 0 <= value <= 1:
                raise InputError(f"{option} of a canary is from 0 to 1, not {value}")
        if not self.first_stages or not self.reranks:
            raise InputError("a canary needs at least one first stage and one rerank (none is one)")
        for first_stage, rerank in self.ways:
            self.request(first_stage, rerank)

    @property
    def ways(self) -> list[tuple[str, str | None]]:
        """Each first stage with each rerank, as `Searcher.search` takes them."""
        reranks = [None if rerank == NO_RERANK else rerank for rerank in dict.fromkeys(self.reranks)]
        return [(first, rerank) for first in dict.fromkeys(self.first_stages) for rerank in reranks]

    def request(self, first_stage: str, rerank: str | None) -> SearchRequest:
        """A search of that way. Raises InputError where it makes no sense."""
        window = self.window_size
        return SearchRequest("any", first_stage=first_stage, rerank=rerank, size=self.k, window_size=window)

    def describes_same(self, other: Canary) -> bool:
        """Whether both are of the same index, queries and settings, so that the answers of one do for the other."""
        measured = {"generation": 1, "horizons": (), "documents": 0, "share": 1.0, "unreadable": 0, "made_at": 0.0}
        return replace(self, **measured) == replace(other, **measured)  # type: ignore[arg-type]

    def to_state(self) -> dict[str, Any]:
        """As stored."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Canary:
        """Inverse of `to_state`. Raises MismatchError on what is none."""
        lists = ("first_stages", "reranks", "horizons")
        return read_back(lambda: cls(**{**state, **{name: tuple(state[name]) for name in lists}}), "a canary")


@dataclass(frozen=True, slots=True)
class Answer:
    """A document of an exact answer.

    ``seq_no``: its latest write then; ``blob``: hash of its vectors. ``age``: where it stands among the documents of
    its shard in the order of writing, from 0, written first, to 1.
    """

    doc_id: str
    score: float
    seq_no: int
    age: float
    blob: str


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A query as it is kept, encoded, so that checks need no encoder.

    ``answers``: exact, best first; ``neighbours``: by k-NN stage, the nearest in its own vectors, first of all.
    """

    id: str
    query: EncodedQuery
    answers: tuple[Answer, ...] = ()
    neighbours: Mapping[str, tuple[Answer, ...]] = member(default_factory=dict)

    def to_state(self) -> dict[str, Any]:
        """As stored."""
        return {
            "id": self.id,
            "text": self.query.text,
            "vectors": _packed(self.query.vectors),
            "pooled": _packed(self.query.pooled),
            "answers": list(map(astuple, self.answers)),
            "neighbours": {stage: list(map(astuple, found)) for stage, found in self.neighbours.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Query:
        """Inverse of `to_state`. Raises MismatchError on what is none."""
        try:
            query = EncodedQuery(
                text=state["text"], vectors=_unpacked(state["vectors"]), pooled=_unpacked(state["pooled"])
            )
            neighbours = {stage: tuple(Answer(*each) for each in found) for stage, found in state["neighbours"].items()}
            return cls(state["id"], query, tuple(Answer(*each) for each in state["answers"]), neighbours)
        except (TypeError, KeyError, ValueError, AttributeError, InputError):
            raise MismatchError("the queries of a canary were altered: add it anew") from None


def _packed(array: FloatArray | None) -> dict[str, Any] | None:
    if array is None:
        return None
    content = np.ascontiguousarray(array, "<f4").tobytes()
    return {"shape": list(array.shape), "data": pybase64.b64encode(content).decode()}


def _unpacked(stored: Mapping[str, Any] | None) -> FloatArray | None:
    if stored is None:
        return None
    return np.frombuffer(pybase64.b64decode(stored["data"], validate=True), "<f4").reshape(stored["shape"])
