"""Hostile queries and options: an answer of known documents with finite scores, or a sentence."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fault_table import FaultRow
from hostile import SEED, Trials, stored, text, value
from opensearchpy import OpenSearch
from scale import HOSTILE_INPUTS
from small_index import DIM, EVERY_RERANK, SmallIndex, make_index, make_query, token_terms

from opensearch_multivector.encoding.encoders.base import TokenTerms
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.first_stages import FIRST_STAGES
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [pytest.mark.integration, pytest.mark.fault("hostile"), pytest.mark.filterwarnings("ignore")]

NAME = "osmv-test-hostile-queries"
GOOD = make_query()
ODD_NUMBERS = (np.nan, np.inf, -np.inf, 3.4e38, 1e-44, -3e38, 0)
OPTIONS = ("size", "offset", "window_size", "source", "routing", "min_score", "explain", "fusion", "ties")


@pytest.fixture(scope="module")
def small(client: OpenSearch) -> Iterator[SmallIndex]:
    client.indices.delete(index=f"{NAME}*", params={"ignore_unavailable": "true"})
    yield make_index(client, NAME, count=30, shards=1)
    client.indices.delete(index=f"{NAME}*")


def array(rng: random.Random) -> Any:
    """Vectors of every shape, kind and layout, and what is none."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    rows = rng.choice([0, 1, 5, 40, 2000])
    made = numbers.normal(size=(rows, rng.choice([DIM] * 6 + [0, 1, DIM + 1, 3000]))).astype(np.float32)
    if made.size and rng.random() < 0.4:
        made[rng.randrange(rows), 0] = rng.choice(ODD_NUMBERS)
    ways: list[Callable[[], Any]] = [
        lambda: made.astype(rng.choice([np.float64, np.float16, np.int32, np.int8, np.complex64, np.bool_, ">f4"])),
        lambda: made.tolist(),
        lambda: made.astype(object),
        lambda: np.array(1.5, np.float32),
        lambda: made.ravel()[:DIM],
        lambda: made[None],
        lambda: np.asfortranarray(made),
        lambda: np.repeat(made, 2, axis=1)[:, ::2],
        lambda: made[::-1, ::-1],
        lambda: np.full(made.shape, "a"),
        lambda: np.broadcast_to(np.float32(1), (3, DIM)),
        lambda: np.ma.masked_array(made),
        lambda: rng.choice([(), "text", 5, {}, [[]], [["x"]], [[1, 2], [3]], b"\0\1", None, GOOD.vectors]),
        lambda: made,
    ]
    return rng.choice(ways)()


def flat(rng: random.Random) -> Any:
    made = array(rng)
    return made.ravel()[:DIM] if isinstance(made, np.ndarray) else made


def terms(rng: random.Random) -> Any:
    names = ["term1", "term2", "a.b", "", text(rng, 3)[:30], "x" * 700]
    weights = {
        rng.choice(names): rng.choice([1.5, 0, -1, np.nan, np.inf, 1e39, 1e-44, "1", None, True, 2]) for _ in range(3)
    }
    if rng.random() < 0.2:
        weights = {f"term{i}": 1.0 for i in range(rng.choice([3, 3000]))}
    tokens: Any = rng.choice(
        [
            None,
            5,
            token_terms(np.random.default_rng(1), 3),
            TokenTerms(np.array([[2**31 - 1, -5]], np.int32), np.array([[np.nan, np.inf]], np.float32)),
            TokenTerms(np.zeros((0, 0), np.int32), np.zeros((0,), np.float32)),
        ]
    )
    return rng.choice(
        [lambda: weights, lambda: QueryTerms.ready(weights), lambda: QueryTerms(weights, weights, tokens)]
    )()


MAKERS: dict[str, Callable[[random.Random], Any]] = {
    "vectors": array,
    "pooled": lambda rng: rng.choice([array, flat])(rng),
    "terms": terms,
    "text": text,
    "offsets": array,
    "dsl": value,
}


def options(rng: random.Random) -> dict[str, Any]:
    """A stage and a rerank that there are; now and then another option that makes no sense."""
    stage = rng.choice(list(FIRST_STAGES))
    stages = rng.choice([stage] * 6 + ["bm25+dense", "0.3*bm25+0.7*dense", f"{stage}+codes"])
    made: dict[str, Any] = {
        "first_stage": stages,
        "rerank": rng.choice([None, "auto", *EVERY_RERANK, "bit:keep=20>client"]),
    }
    if rng.random() < 0.4:
        made[rng.choice(OPTIONS)] = rng.choice([value(rng), rng.choice([1e400, -1, 0, 5, 10**30, "5", [], {}, True])])
    if rng.random() < 0.1:
        odd = ["", ":", "codes:", "codes:nprobe", "codes:nprobe=1e9", "codes:nprobe=-1", "dense:ef_search=9999999999"]
        made["first_stage"] = rng.choice(
            [*odd, "bm25+", "nan*bm25+1*dense", "dense:x=1", text(rng, 4)[:200], value(rng)]
        )
    if rng.random() < 0.1:
        odd = ["", ">", "client>", "bit:keep=0", "client:keep=1e5", "native>native>native", "bit:keep=5>client:keep=50"]
        made["rerank"] = rng.choice([*odd, text(rng, 4)[:200], value(rng)])
    return made


def check(trials: Trials, kind: str, what: Any, result: SearchResult | None, known: set[str]) -> None:
    for hit in result.hits if result else ():
        if hit.doc_id not in known or not np.isfinite(hit.score):
            trials.fail(kind, what, f"a hit {hit}")
            return


def test_queries(client: OpenSearch, small: SmallIndex, fault_row: FaultRow) -> None:
    rng, trials = random.Random(SEED), Trials()
    searcher, before = Searcher(client, NAME), stored(client)
    for number in range(HOSTILE_INPUTS // 4):
        kind = ("queries", "arrays", "options")[number % 3]

        def one(kind: str = kind) -> tuple[Any, dict[str, Any]]:
            if kind == "queries":
                return text(rng), {"first_stage": "bm25", "rerank": None}
            if kind == "options":
                return GOOD, options(rng)
            # The maker of a part may find that it can't be one, already.
            parts = {name: make(rng) for name, make in MAKERS.items() if rng.random() < 0.3}
            return replace(GOOD, **parts), options(rng)

        asked = trials.attempt(f"{kind}: made", number, one)
        if asked is None:
            continue
        query, chosen = asked
        if rng.random() < 0.1:
            both = trials.attempt(kind, asked, lambda q=query, c=chosen: searcher.search_many([q, GOOD], **c))
            result = both[0] if both else None
        else:
            result = trials.attempt(kind, asked, lambda q=query, c=chosen: searcher.search(q, **c))
        check(trials, kind, asked, result, set(small.vectors))
    assert stored(client) == before
    trials.finish()
    fault_row.counts["queries"] += HOSTILE_INPUTS // 4


def test_texts_that_are_encoded(client: OpenSearch, fault_row: FaultRow) -> None:
    """By a real encoder's tokenizer, and explained."""
    from opensearch_multivector.encoding.encoders import load_encoder

    rng, trials = random.Random(SEED + 1), Trials()
    name, encoder = f"{NAME}-encoded", load_encoder("all-MiniLM-L6-v2-int8")
    documents = {"a": "Bees find their way home by the sun.", "b": "\x1b[2J\u202e[bold]Terns[/] \ufffe migrate\x00."}
    records = [{"_id": doc_id, "text": each} for doc_id, each in documents.items()]
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    assert index_documents(client, name, records, encoder=encoder).indexed == 2
    searcher, before = Searcher(client, name, encoder=encoder), stored(client)
    count = max(20, HOSTILE_INPUTS // 20)
    for _ in range(count):
        asked = text(rng)
        stage = rng.choice(["bm25", "dense", "bm25+dense"])
        result = trials.attempt(
            "texts", asked, lambda q=asked, s=stage: searcher.search(q, first_stage=s, explain=True)
        )
        check(trials, "texts", asked, result, set(documents))
        many = trials.attempt("texts", asked, lambda q=asked: searcher.search_many([EncodedQuery(q), "home"]))
        assert many is None or many[1].hits
    assert stored(client) == before
    trials.finish()
    fault_row.counts["queries"] += count
