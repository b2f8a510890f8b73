"""SLIM's ways on the real node, against the paper's formulas: slim, seismic, the exact rerank, term budgets."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from naive_slim import NaiveSlim, half, nine_bits, tokens_of
from node_under_test import SINCE_3_3, needs_seismic
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders.base import Kind, TokenTerms
from opensearch_multivector.encoding.sparsify import fused_terms, upper_bound_terms
from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing import Layout, index_documents
from opensearch_multivector.plugin.sub_fields import Dense, Seismic, Slim
from opensearch_multivector.plugin.sub_fields import TokenTerms as StoredTokenTerms
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

WORDS = [f"w{i}" for i in range(40)]
K = 6


@dataclass
class WordTerms:
    """A term encoder without a model: a word's terms and weights are drawn by its hash, and shared with like words."""

    name: str = "words"
    fingerprint: str = "0" * 16
    vocabulary: Sequence[str] = field(default_factory=lambda: [f"t{i}.{i}" for i in range(50)])

    def encode_terms(self, texts: Sequence[str], kind: Kind) -> list[TokenTerms]:
        return [self._terms(text.split()) for text in texts]

    def _terms(self, words: list[str]) -> TokenTerms:
        drawn = [np.random.default_rng(zlib.crc32(word.encode())) for word in words]
        ids = np.array([rng.choice(50, size=K, replace=False) for rng in drawn], np.int32).reshape(-1, K)
        weights = np.array([-np.sort(-rng.uniform(0.2, 3, size=K)) for rng in drawn], np.float32).reshape(-1, K)
        weights[:, K - 1] = 0
        return TokenTerms(ids, weights)


ENCODER = WordTerms()


def texts(count: int) -> dict[str, str]:
    rng = np.random.default_rng(5)
    return {f"d{i}": " ".join(rng.choice(WORDS, size=rng.integers(1, 9))) for i in range(count)}


TEXTS = texts(120)
SEISMIC = [pytest.param(stage, marks=needs_seismic) for stage in ("seismic", "seismic:heap_factor=9")]
QUERIES = ["w1 w2 w3", "w7 w7 w8 w9 w10", "w39"]


def stored(per_token: int, per_document: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Ids and weights of all tokens, within the budget per token."""
    encoded = ENCODER.encode_terms(list(TEXTS.values()), "document")
    ids = np.concatenate([terms.ids[:, : per_token or None] for terms in encoded])
    weights = np.concatenate([terms.weights[:, : per_token or None] for terms in encoded])
    return ids, weights, [len(terms.ids) for terms in encoded]


def fill(client: OpenSearch, name: str, *sub_fields: Slim | Seismic | StoredTokenTerms) -> Searcher:
    documents = [
        {"id": doc_id, "text": text, "vectors": [[1.0, 0.0]], "group": "even" if i % 2 == 0 else "odd"}
        for i, (doc_id, text) in enumerate(TEXTS.items())
    ]
    summary = index_documents(client, name, documents, encoder=None, term_encoder=ENCODER, sub_fields=sub_fields)
    assert summary.indexed == len(TEXTS), summary.rejections
    return Searcher(client, name, term_encoder=ENCODER)


@pytest.fixture(scope="module")
def searcher(client: OpenSearch) -> Iterator[Searcher]:
    name = "osmv-test-terms"
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    seismic = (Seismic(approximate_threshold=1),) if SINCE_3_3 else ()
    searcher = fill(client, name, Slim(), StoredTokenTerms(), *seismic)
    client.indices.forcemerge(index=name, params={"max_num_segments": "1"})
    client.indices.refresh(index=name)
    yield searcher
    client.indices.delete(index=name)


def found(searcher: Searcher, query: str | EncodedQuery, stage: str, rerank: str | None = None) -> dict[str, float]:
    result = searcher.search(query, first_stage=stage, rerank=rerank, size=120, window_size=120, source=False)
    return {hit.doc_id: hit.score for hit in result.hits}


def expected(scores: np.ndarray) -> dict[str, float]:
    return {doc_id: score for doc_id, score in zip(TEXTS, scores.tolist(), strict=True) if score > 0}


def query_tokens(query: str) -> list[dict[int, float]]:
    (terms,) = ENCODER.encode_terms([query], "query")
    return tokens_of(terms.ids, terms.weights)


@pytest.mark.parametrize("way", ["rank_feature", "neural_sparse"])
@pytest.mark.parametrize("bound", ["upper", "fused"])
@pytest.mark.parametrize("query", QUERIES)
def test_slim_is_the_papers_bound(searcher: Searcher, query: str, bound: str, way: str) -> None:
    naive = NaiveSlim(*stored(0, 0), nine_bits)
    scores = found(searcher, query, f"slim:bound={bound},way={way}")
    assert scores == pytest.approx(expected(getattr(naive, bound)(query_tokens(query))), rel=1e-5)
    assert list(scores.values()) == sorted(scores.values(), reverse=True)


@pytest.mark.parametrize("query", QUERIES)
def test_the_rerank_is_the_exact_score(searcher: Searcher, query: str) -> None:
    naive = NaiveSlim(*stored(0, 0), half)
    assert found(searcher, query, "slim", "slim") == pytest.approx(expected(naive.exact(query_tokens(query))), rel=1e-6)


@needs_seismic
@pytest.mark.parametrize("query", QUERIES)
def test_seismic_is_slim_within_its_rounding(searcher: Searcher, query: str) -> None:
    """Weights of documents are 255 steps of 4, of the query 255 steps of its heaviest."""
    naive = NaiveSlim(*stored(0, 0))
    upper = expected(naive.upper(query_tokens(query)))
    scores = found(searcher, query, "seismic:top_n=50,heap_factor=100")
    assert len(scores) >= 0.9 * len(upper)
    heaviest = max(upper_bound_terms(*ENCODER.encode_terms([query], "query"), ENCODER.vocabulary).values())
    terms = 6 * len(query.split())
    for doc_id, score in scores.items():
        assert abs(score - upper.get(doc_id, 0)) <= terms * (heaviest * 4 / 255 + 3 * heaviest / 255)
    best = sorted(upper, key=lambda doc_id: -upper[doc_id])[:10]
    assert len(set(best) & set(list(scores)[:15])) >= 8


def test_a_query_of_few_terms_counts_its_heaviest_alone(searcher: Searcher) -> None:
    (terms,) = ENCODER.encode_terms(QUERIES[:1], "query")
    upper = upper_bound_terms(terms, ENCODER.vocabulary)
    few = dict(list(upper.items())[:2])
    assert found(searcher, QUERIES[0], "slim:terms=2") == found(
        searcher, EncodedQuery(terms=QueryTerms(few, few)), "slim"
    )
    assert fused_terms(terms, ENCODER.vocabulary).keys() == upper.keys()


@pytest.mark.parametrize("stage", ["slim", "slim:way=neural_sparse", *SEISMIC])
@pytest.mark.parametrize("rerank", [None, "slim"])
def test_filters_never_leak(searcher: Searcher, stage: str, rerank: str | None) -> None:
    everything = found(searcher, QUERIES[1], stage, rerank)
    clause = {"term": {"group.keyword": "odd"}}
    result = searcher.search(
        QUERIES[1], first_stage=stage, rerank=rerank, size=120, window_size=120, filter=clause, source=False
    )
    scores = {hit.doc_id: hit.score for hit in result.hits}
    assert scores
    assert all(int(doc_id[1:]) % 2 for doc_id in scores)
    odd = {doc_id: score for doc_id, score in everything.items() if int(doc_id[1:]) % 2}
    if stage.startswith("seismic"):
        # What a filter leaves is searched exactly where it is less than k: more is found, with the same scores.
        assert scores.items() >= odd.items()
    else:
        assert scores == odd


def test_budgets_are_kept_by_token_and_by_document(client: OpenSearch, index_name: str) -> None:
    searcher = fill(client, index_name, Slim(per_token=3, per_document=7), StoredTokenTerms(per_token=2, weights="u8"))
    ids, weights, counts = stored(3, 0)
    end = 0
    upper = upper_bound_terms(*ENCODER.encode_terms(QUERIES[:1], "query"), ENCODER.vocabulary)
    scores: dict[str, float] = {}
    for doc_id, count in zip(TEXTS, counts, strict=True):
        start, end = end, end + count
        kept: dict[int, float] = {}
        for token in tokens_of(ids[start:end], weights[start:end]):
            kept = {term: max(kept.get(term, 0), token.get(term, 0)) for term in kept.keys() | token.keys()}
        heaviest = sorted(kept.items(), key=lambda item: (-item[1], item[0]))[:7]
        scores[doc_id] = sum(
            upper.get(f"t{term}\u2024{term}", 0) * float(nine_bits(np.array([weight]))[0]) for term, weight in heaviest
        )
    assert found(searcher, QUERIES[0], "slim") == pytest.approx({d: s for d, s in scores.items() if s > 0}, rel=1e-5)
    exact = NaiveSlim(*stored(2, 0)).exact(query_tokens(QUERIES[0]))
    reranked = found(searcher, QUERIES[0], "slim", "slim")
    for doc_id, score in reranked.items():
        assert score == pytest.approx(exact[list(TEXTS).index(doc_id)], abs=3 * 2 * 3 * 3 / 510 + 1e-6)


def test_scaled_weights_are_exact_whole_numbers_and_single_precision_reranks(
    client: OpenSearch, index_name: str
) -> None:
    searcher = fill(client, index_name, Slim(scale=51.2, keep=True), StoredTokenTerms(weights="f32"))
    ids, weights, counts = stored(0, 0)
    whole = NaiveSlim(ids, weights, counts, lambda values: np.rint(values.astype(np.float64) * 51.2))
    upper = expected(whole.upper(query_tokens(QUERIES[0])))
    assert found(searcher, QUERIES[0], "slim") == pytest.approx(upper, rel=1e-6)
    exact = expected(NaiveSlim(ids, weights, counts).exact(query_tokens(QUERIES[0])))
    assert found(searcher, QUERIES[0], "slim", "slim") == pytest.approx(exact, rel=2**-23)
    kept = client.get(index=index_name, id="d0")["_source"]["mv.slim"]
    assert kept
    assert all(isinstance(weight, int) for weight in kept.values())


def test_a_document_without_token_terms_is_left_out_and_named(client: OpenSearch, index_name: str) -> None:
    searcher = fill(client, index_name, Slim(), StoredTokenTerms())
    best = next(iter(found(searcher, QUERIES[0], "slim", "slim")))
    body = {
        "text": "by an application",
        "mv.slim": {"t1": 1.0} | upper_bound_terms(*ENCODER.encode_terms(QUERIES[:1], "query"), ENCODER.vocabulary),
    }
    client.index(index=index_name, id=best, body=body, params={"refresh": "true"})
    result = searcher.search(QUERIES[0], first_stage="slim", rerank="slim", size=100)
    assert list(result.skipped) == [best]
    assert "no token terms" in result.skipped[best]


def test_what_does_not_go_together_is_refused(client: OpenSearch, index_name: str, searcher: Searcher) -> None:
    for scale in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="scale of sub-field 'slim'"):
            Slim(scale=scale)
    with pytest.raises(InputError, match="no index have both k-NN fields"):
        fill(client, index_name, Dense(), Seismic())  # type: ignore[arg-type]
    for sub_field in (Slim(), Seismic(), StoredTokenTerms()):
        with pytest.raises(InputError, match=f"{sub_field.name!r} needs terms: give --terms"):
            index_documents(client, index_name, [], encoder=None, sub_fields=(sub_field,))
    layout = Layout(terms_field="vector")
    with pytest.raises(InputError, match="'token_terms' holds the terms of each token"):
        index_documents(client, index_name, [], encoder=None, layout=layout, sub_fields=(StoredTokenTerms(),))
    nameless = EncodedQuery(terms=QueryTerms.ready({"t1.1": 1.0}))
    for stage, rerank in (("slim", "slim"), *([("seismic", None)] if SINCE_3_3 else [])):
        with pytest.raises(InputError, match="needs the terms of each query token"):
            searcher.search(nameless, first_stage=stage, rerank=rerank)
