"""Hostile filters and query clauses: whatever comes of one, no document beyond what the searcher may see."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from attached_index import make_attached, remove_attached
from fault_table import FaultRow
from hostile import SEED, Trials, shown, stored, text, value
from opensearchpy import OpenSearch
from scale import HOSTILE_INPUTS
from small_index import DIM, EVERY_RERANK, make_query

from opensearch_multivector.queries.first_stages import FIRST_STAGES
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [pytest.mark.integration, pytest.mark.fault("hostile"), pytest.mark.filterwarnings("ignore")]

NAME = "osmv-test-hostile-filters"
WHOLE = f"{NAME}-whole"
QUERY = make_query()
TENANT: dict[str, Any] = {"term": {"group": "odd"}}
OTHERS: dict[str, Any] = {"term": {"group": "even"}}
LOOKUP: dict[str, Any] = {"terms": {"group": {"index": WHOLE, "id": "d000", "path": "group"}}}
FIELDS = [
    "group",
    "group",
    "title",
    "text",
    "mv.text",
    "mv.codes",
    "mv.vectors",
    "mv.dense",
    "mv.hash",
    "mv.tokens",
    "mv",
]
FIELDS += ["_id", "_index", "_routing", "_source", "_seq_no", "*", "g*", "nothing", "", "a..b", ".", "group.raw"]
VALUES: list[Any] = ["even", "odd", "d000", ["even"], ["even", "odd"], 5, True, None, {}, "*", {"value": "even"}]
VALUES += [{"query": "even"}, {"gte": "a"}, {"gte": 0, "lt": "x"}, {"index": WHOLE, "id": "d000", "path": "group"}]
SCRIPTS: list[Any] = ["true", "while(true){}", "doc['group'].value == 'even'", "System.exit(1)", {"id": "x"}]
SCRIPTS += [{"source": "true", "lang": "expression"}]
EXPRESSIONS = [".*", "(a|aa)+" * 30, "[", "((((", "a{1000}" * 3, "@&~#"]
Clause = Any


def leaf(rng: random.Random) -> Clause:
    """A clause of any kind that OpenSearch and its plugins know, some of them rightly made; or something else."""

    def field() -> str:
        return rng.choice(FIELDS)

    def any_value() -> Any:
        return rng.choice(VALUES)

    def wrapped() -> str:
        return base64.b64encode(json.dumps(rng.choice([OTHERS, LOOKUP, {"match_all": {}}])).encode()).decode()

    makers: list[Callable[[], Clause]] = [
        *(
            lambda kind=kind: {kind: {field(): any_value()}}
            for kind in ("term", "terms", "range", "match", "prefix", "fuzzy")
        ),
        *(lambda clause=clause: clause for clause in (LOOKUP, OTHERS, TENANT, {"match_all": {}}, {"match_none": {}})),
        lambda: {"terms": {field(): ["x"] * rng.choice([1, 5000, 70_000])}},
        lambda: {"exists": rng.choice([{"field": field()}, any_value()])},
        lambda: {"ids": {"values": any_value()}},
        lambda: {"wildcard": {field(): "*" * rng.choice([1, 50]) + "a"}},
        lambda: {"regexp": {field(): rng.choice(EXPRESSIONS)}},
        lambda: {"query_string": {"query": rng.choice([text(rng)[:3000], "group:even OR _id:*"])}},
        lambda: {"simple_query_string": {"query": text(rng)[:500], "fields": [field(), "*"]}},
        lambda: {"multi_match": {"query": text(rng)[:100], "fields": [field(), field()]}},
        lambda: {"script": {"script": rng.choice(SCRIPTS)}},
        lambda: {"script_score": {"query": leaf(rng), "script": {"source": "1"}}},
        lambda: {"function_score": {"query": leaf(rng), "script_score": {"script": "1"}}},
        lambda: {"wrapper": {"query": wrapped()}},
        lambda: {"percolate": {"field": field(), "index": WHOLE, "id": "d000"}},
        lambda: {"has_child": {"type": "a", "query": {"match_all": {}}}},
        lambda: {"has_parent": {"parent_type": "a", "query": OTHERS}},
        lambda: {
            "nested": {
                "path": rng.choice(["mv.tokens", "mv"]),
                "query": leaf(rng),
                **rng.choice([{}, {"inner_hits": {}}]),
            }
        },
        lambda: {"more_like_this": {"fields": ["text"], "like": {"_index": WHOLE, "_id": "d000"}, "min_term_freq": 1}},
        lambda: {"knn": {"mv.dense": {"vector": [0.1] * DIM, "k": rng.choice([5, 0, -1, 10**9]), "filter": leaf(rng)}}},
        lambda: {"hybrid": {"queries": [leaf(rng), leaf(rng)]}},
        lambda: {"neural_sparse": {"mv.slim": {"query_tokens": {"term1": 1.0}}}},
        lambda: {"maxsim": {"field": "mv.vectors", "query_vectors": [[0.1] * DIM]}},
        lambda: {"geo_shape": {"p": {"indexed_shape": {"index": WHOLE, "id": "d000", "path": "x"}}}},
        lambda: {"terms_set": {"group": {"terms": ["even"], "minimum_should_match_script": {"source": "1"}}}},
        lambda: {
            rng.choice(["template", "pinned", "type", "span_or", "intervals", "neural", "rank_feature"]): any_value()
        },
        lambda: {text(rng, 3)[:50]: value(rng)},
        lambda: rng.choice(
            [value(rng), {}, {1: 2}, OTHERS | TENANT, {"term": {"group": {1, 2}}}, {"term": {"group": object()}}]
        ),
        lambda: {"term": {"group": float("nan")}},
    ]
    return rng.choice(makers)()


def clause(rng: random.Random, depth: int = 3) -> Clause:
    """Clauses in clauses: deep ones, one that holds itself, very many, under names that there aren't."""
    if depth == 0 or rng.random() < 0.45:
        return leaf(rng)
    if rng.random() < 0.08:
        made = leaf(rng)
        for _ in range(rng.choice([15, 30, 90, 3000])):
            made = {"bool": {rng.choice(["must", "should", "filter", "must_not"]): [made]}}
        return made
    if rng.random() < 0.03:
        made = {"bool": {}}
        made["bool"]["must"] = [made]
        return made

    def inner() -> Clause:
        return clause(rng, depth - 1)

    def several() -> Clause:
        return [inner() for _ in range(rng.randrange(4))]

    occurrence = rng.choice(["must", "should", "filter", "must_not", "must_not", "mustNot", text(rng, 2)[:20]])
    extra = rng.choice([{}, {}, {"minimum_should_match": rng.choice([0, -5, "200%", {}, "x"])}])
    makers: list[Callable[[], Clause]] = [
        lambda: {"bool": {occurrence: rng.choice([several, inner])(), **extra}},
        lambda: {"bool": {"should": [OTHERS] * rng.choice([10, 1100, 20_000])}},
        lambda: {"constant_score": {"filter": inner(), "boost": rng.choice([1, -1, 1e40, "x", 1000])}},
        lambda: {"dis_max": {"queries": several()}},
        lambda: {"boosting": {"positive": inner(), "negative": inner(), "negative_boost": 0.5}},
        lambda: {"nested": {"path": "mv.tokens", "query": inner()}},
        lambda: {"indices": {"index": WHOLE, "query": inner()}},
        lambda: [inner()],
    ]
    return rng.choice(makers)()


@dataclass(frozen=True)
class Seen:
    """A searcher, and the documents that it may show."""

    name: str
    searcher: Searcher
    allowed: set[str]


@pytest.fixture(scope="module")
def searchers(client: OpenSearch) -> Iterator[list[Seen]]:
    """Of an index and of one with a sidecar: all of it, a tenant's, and what an alias with a filter shows."""
    remove_attached(client, NAME)
    made = make_attached(client, NAME, count=30, shards=1)
    every = set(made.whole.groups)
    odd = {doc_id for doc_id, group in made.whole.groups.items() if group == "odd"}
    seen = []
    for kind, index in (("index", WHOLE), ("sidecar", NAME)):
        client.indices.put_alias(index=index, name=f"{index}-odd", body={"filter": TENANT})
        seen += [
            Seen(kind, Searcher(client, index), every),
            Seen(f"{kind}, tenant", Searcher(client, index, tenant=TENANT), odd),
            Seen(f"{kind}, alias", Searcher(client, f"{index}-odd"), odd),
        ]
    yield seen
    remove_attached(client, NAME)


def test_filters(client: OpenSearch, searchers: list[Seen], fault_row: FaultRow) -> None:
    rng, trials = random.Random(SEED), Trials()
    before = stored(client)
    count = HOSTILE_INPUTS // 3
    for _ in range(count):
        seen = rng.choice(searchers)
        stage = rng.choice([*FIRST_STAGES, "query", "query", "bm25", "bm25+dense"])
        reranks = [None, "auto", "client"] if seen.name.startswith("sidecar") else [None, "auto", *EVERY_RERANK]
        options = {"first_stage": stage, "rerank": rng.choice(reranks), "size": 30, "explain": rng.random() < 0.1}
        query = replace(QUERY, dsl=clause(rng) if stage == "query" else QUERY.dsl)
        if stage != "query" or rng.random() < 0.5:
            options["filter"] = clause(rng)
        asked = (shown(options), shown(query.dsl))

        many = rng.random() < 0.1

        def search(
            seen: Seen = seen, query: Any = query, options: dict[str, Any] = options, many: bool = many
        ) -> SearchResult:
            if many:
                return seen.searcher.search_many([query] * 2, **options)[1]
            return seen.searcher.search(query, **options)

        result = trials.attempt(f"filters, {seen.name}", asked, search)
        hits = result.hits if result else []
        if not {hit.doc_id for hit in hits} | (result.skipped.keys() if result else set()) <= seen.allowed:
            trials.fail(seen.name, asked, f"widened: {[hit.doc_id for hit in hits]}, {result.skipped}")
        if len({hit.doc_id for hit in hits}) < len(hits) or not all(np.isfinite(hit.score) for hit in hits):
            trials.fail(seen.name, asked, f"hits {hits}")
    assert stored(client) == before
    answered = sum(number for kind, number in trials.counts.items() if kind.endswith("answered"))
    trials.finish()
    assert answered > 0.1 * count
    fault_row.counts["filters"] += count
