"""One search as the user asks for it, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import isnan
from numbers import Integral, Real
from types import NoneType
from typing import Any

from opensearchpy.exceptions import SerializationError
from opensearchpy.serializer import JSONSerializer

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sidecar import Sidecar
from opensearch_multivector.queries.budget import Budget, check_budgets
from opensearch_multivector.queries.encoded_query import EncodedQuery, check_text
from opensearch_multivector.queries.filter_fields import check_filter
from opensearch_multivector.queries.first_stages import Dsl, parse_first_stages
from opensearch_multivector.queries.first_stages.base import MAX_WINDOW
from opensearch_multivector.queries.first_stages.hybrid import why_not_hybrid
from opensearch_multivector.queries.rerankers import AUTO, parse_rerank, without_auto
from opensearch_multivector.queries.tenant import check_within_tenant

DEFAULT_FIRST_STAGE = "dense"
DEFAULT_RERANK = AUTO
DEFAULT_WINDOW = 100
DEFAULT_FUSION = "auto"
DEFAULT_TIES = "engine"
_FUSIONS = ("auto", "engine", "client")
_TIES = ("engine", "docid")
# `indices.query.max_nested_depth` is 20 queries unless raised; each is two levels of JSON, and the last has some more.
_DEEPEST = 200
# What an option has to be, before it is asked what its value means.
_KINDS: tuple[tuple[str, tuple[type, ...], str], ...] = (
    ("query", (str, EncodedQuery), "a string or an EncodedQuery"),
    ("first_stage", (str,), "a string"),
    ("rerank", (str, NoneType), "a string or None"),
    ("size", (Integral,), "a whole number"),
    ("offset", (Integral,), "a whole number"),
    ("window_size", (Integral,), "a whole number"),
    ("source", (bool, list), "True, False or a list of names"),
    ("routing", (str, NoneType), "a string or None"),
    ("min_score", (Real, NoneType), "a number or None"),
    ("explain", (bool,), "True or False"),
    ("fusion", (str,), "a string"),
    ("ties", (str,), "a string"),
    ("degrade", (bool,), "True or False"),
)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Everything about a search but the index; `Searcher.search` documents the fields.

    Raises InputError, naming the option, where the values make no sense together.
    """

    query: str | EncodedQuery
    first_stage: str = DEFAULT_FIRST_STAGE
    rerank: str | None = DEFAULT_RERANK
    size: int = 10
    offset: int = 0
    window_size: int = DEFAULT_WINDOW
    filter: Dsl | None = None
    source: bool | list[str] = True
    routing: str | None = None
    min_score: float | None = None
    explain: bool = False
    fusion: str = DEFAULT_FUSION
    ties: str = DEFAULT_TIES
    time_budget: float | None = None
    budgets: Mapping[str, float] | None = None
    degrade: bool = False
    hedge_after: float | None = None

    def __post_init__(self) -> None:
        self._check_kinds()
        check_budgets(self.time_budget, self.budgets, self.hedge_after)
        if self.fusion not in _FUSIONS:
            raise InputError(f"unknown fusion {self.fusion!r}: choose of {', '.join(_FUSIONS)}")
        if self.ties not in _TIES:
            raise InputError(f"unknown ties {self.ties!r}: choose of {', '.join(_TIES)}")
        stages = parse_first_stages(self.first_stage).stages
        if len(stages) > 1 and self.fusion == "engine" and (reason := why_not_hybrid(stages)):
            raise InputError(f"first stage {self.first_stage!r} can't be fused with fusion 'engine': {reason}")
        kept = [step.keep for step in parse_rerank(self.rerank) if step.keep]
        if isinstance(self.query, str):
            check_text(self.query)
            if not self.query.strip():
                raise InputError("the query is empty")
        if self.routing is not None:
            check_text(self.routing, "the routing")
        if self.size < 0 or self.offset < 0:
            raise InputError(f"size and offset can't be negative (they are {self.size} and {self.offset})")
        if not 1 <= self.window_size <= MAX_WINDOW:
            raise InputError(f"window_size must be from 1 to {MAX_WINDOW:,}, it is {self.window_size}")
        if self.offset + self.size > self.window_size:
            raise InputError(
                f"hits {self.offset + 1} to {self.offset + self.size} lie beyond the window of {self.window_size} "
                "candidates: raise window_size (--window-size)"
            )
        if kept and self.offset + self.size > kept[-1]:
            raise InputError(
                f"hits {self.offset + 1} to {self.offset + self.size} lie beyond the {kept[-1]} candidates that rerank "
                f"{self.rerank!r} keeps: raise keep"
            )
        if self.filter is not None:
            check_clause("filter", self.filter)
        if isinstance(self.query, EncodedQuery) and self.query.dsl is not None:
            check_clause("the query's dsl", self.query.dsl)

    def _check_kinds(self) -> None:
        for option, kinds, what in _KINDS:
            value = getattr(self, option)
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise InputError(f"{option} must be {what}, not {value!r}")
        if isinstance(self.source, list) and not all(isinstance(name, str) for name in self.source):
            raise InputError(f"source must be True, False or a list of names, not {self.source!r}")
        if self.min_score is not None and isnan(self.min_score):
            raise InputError("min_score is no number (NaN)")

    def within(self, tenant: Dsl | None) -> SearchRequest:
        """The same request, held to a tenant's clause beside its own filter.

        Raises InputError where what the user asks for could read documents beyond the tenant's.
        """
        if tenant is None:
            return self
        own = self.query.dsl if isinstance(self.query, EncodedQuery) else None
        for option, clause in (("filter", self.filter), ("the query's dsl", own)):
            if clause is not None:
                check_within_tenant(option, clause)
        clauses = [tenant] if self.filter is None else [tenant, self.filter]
        return replace(self, filter={"bool": {"filter": clauses}})

    def on(self, spec: FieldSpec, sidecar: Sidecar | None = None) -> SearchRequest:
        """The same request of this index: where it holds no token vectors, rerank "auto" is none.

        Raises MismatchError where the index lacks what a first stage or a rerank reads, InputError where its sidecar
        lacks what the filter reads, or is to be fused with it by OpenSearch.
        """
        request = self if spec.vectors else replace(self, rerank=without_auto(self.rerank))
        stages = parse_first_stages(request.first_stage).stages
        for stage in stages:
            stage.check(spec)
        if sidecar is not None:
            if len(stages) > 1 and request.fusion == "engine" and any(stage.of_text for stage in stages):
                raise InputError(
                    f"first stage {request.first_stage!r} can't be fused with fusion 'engine': texts are searched in "
                    f"index {sidecar.index!r}, all else in its sidecar"
                )
            if request.filter is not None and not all(stage.of_text for stage in stages):
                check_filter(request.filter, sidecar)
        for step in parse_rerank(request.rerank):
            step.check(spec)
        if request.explain:
            spec.need_vectors("explain")
        return request

    def budget(self) -> Budget:
        """The time that the search has from now on."""
        return Budget(self.time_budget, self.budgets)

    @property
    def asks_engine(self) -> bool:
        """Whether it has to be known if OpenSearch can fuse, or rerank."""
        if self.rerank is not None and AUTO in map(str.strip, self.rerank.split(">")):
            return True
        stages = parse_first_stages(self.first_stage).stages
        return len(stages) > 1 and self.fusion == "auto" and why_not_hybrid(stages) is None

    @property
    def needs(self) -> frozenset[str]:
        """The parts of an `EncodedQuery` that this search reads: of "text", "pooled", "terms", "vectors", "dsl"."""
        needed: set[str] = {stage.needs for stage in parse_first_stages(self.first_stage).stages}
        needed |= {step.needs for step in parse_rerank(self.rerank)}
        if self.explain:
            needed.add("vectors")
        return frozenset(needed)


def check_clause(option: str, clause: Dsl) -> None:
    """Raise InputError where this can't be one query clause that can be sent."""
    if not isinstance(clause, dict) or len(clause) != 1:
        raise InputError(f'{option} must be one OpenSearch query clause, such as {{"term": {{"lang": "en"}}}}')
    _check_depth(option, clause)
    try:
        JSONSerializer().dumps(clause)
    except SerializationError as error:
        raise InputError(f"{option} can't be written as JSON: {error.args[1]}") from None


def _check_depth(option: str, clause: Dsl) -> None:
    """Raise InputError on a clause deeper than any cluster takes; one that holds itself is."""
    waiting: list[tuple[Any, int]] = [(clause, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise InputError(f"{option} is nested more than {_DEEPEST} levels deep, which OpenSearch takes nowhere")
        inner = value.values() if isinstance(value, dict) else value
        waiting += [(each, depth + 1) for each in inner if isinstance(each, dict | list | tuple)]


def check_defaults(options: Mapping[str, Any]) -> None:
    """Raise InputError where what a searcher takes for its searches makes no sense, or is no option of a search."""
    known = {each.name for each in fields(SearchRequest)} - {"query"}
    if unknown := options.keys() - known:
        raise InputError(f"a search has no option {', '.join(sorted(unknown))}: it has {', '.join(sorted(known))}")
    SearchRequest("any", **options)
