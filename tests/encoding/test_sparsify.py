from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.encoders.base import TokenTerms
from opensearch_multivector.encoding.sparsify import (
    document_terms,
    feature_name,
    fused_terms,
    lower_bound_terms,
    pyserini_terms,
    slim_score,
    term_of,
    upper_bound_terms,
    whole_terms,
)

VOCABULARY = ["sea", "otter", ".", "\u2024", "\u2025", "", "a.b", "likes", "cat", "dog"]


@st.composite
def token_terms(draw: st.DrawFn) -> TokenTerms:
    """Token terms as an encoder gives them: distinct ids per token, weights falling, zeros at the end."""
    k = draw(st.integers(1, 5))
    rows = draw(st.lists(st.permutations(range(len(VOCABULARY))), max_size=6))
    weight = st.one_of(st.just(0.0), st.floats(0.0078125, 16.0, width=32), st.just(1.0))
    weights = [sorted(draw(st.lists(weight, min_size=k, max_size=k)), reverse=True) for _ in rows]
    return TokenTerms(
        ids=np.array([row[:k] for row in rows], dtype=np.int32).reshape(-1, k),
        weights=np.array(weights, dtype=np.float32).reshape(-1, k),
    )


def as_dicts(terms: TokenTerms) -> list[dict[int, float]]:
    return [
        {int(i): float(w) for i, w in zip(ids, weights, strict=True) if w > 0}
        for ids, weights in zip(terms.ids, terms.weights, strict=True)
    ]


def naive_document(terms: TokenTerms) -> dict[int, float]:
    stored: dict[int, float] = {}
    for token in as_dicts(terms):
        for i, w in token.items():
            stored[i] = max(stored.get(i, 0.0), w)
    return stored


def naive_score(query: TokenTerms, document: TokenTerms) -> float:
    def dot(q: dict[int, float], d: dict[int, float]) -> float:
        return sum(w * d.get(i, 0.0) for i, w in q.items())

    return sum(max((dot(q, d) for d in as_dicts(document)), default=0.0) for q in as_dicts(query))


def named(terms: dict[int, float]) -> Any:
    return pytest.approx({feature_name(VOCABULARY[i]): w for i, w in terms.items()}, rel=1e-6)


def score(query: dict[str, float], document: dict[str, float]) -> float:
    """As `rank_feature` clauses score: weight times stored weight, summed over shared terms."""
    return sum(weight * document.get(term, 0.0) for term, weight in query.items())


@settings(deadline=None)
@given(token_terms())
def test_a_document_keeps_each_terms_largest_weight(document: TokenTerms) -> None:
    assert document_terms(document, VOCABULARY) == named(naive_document(document))


@settings(deadline=None)
@given(token_terms(), st.integers(0, 12))
def test_max_terms_keeps_the_heaviest(document: TokenTerms, limit: int) -> None:
    every, kept = document_terms(document, VOCABULARY), document_terms(document, VOCABULARY, max_terms=limit)
    assert len(kept) == min(limit, len(every))
    assert sorted(kept.values()) == sorted(every.values())[len(every) - len(kept) :]
    assert kept.items() <= every.items()


@settings(deadline=None)
@given(token_terms())
def test_the_upper_bound_sums_a_terms_weights_over_tokens(query: TokenTerms) -> None:
    expected: dict[int, float] = {}
    for token in as_dicts(query):
        for i, w in token.items():
            expected[i] = expected.get(i, 0.0) + w
    assert upper_bound_terms(query, VOCABULARY) == named(expected)


@settings(deadline=None)
@given(token_terms())
def test_the_lower_bound_takes_every_tokens_heaviest_term(query: TokenTerms) -> None:
    expected: dict[int, float] = {}
    for token in as_dicts(query):
        if token:
            i = max(token, key=token.__getitem__)
            expected[i] = expected.get(i, 0.0) + token[i]
    assert lower_bound_terms(query, VOCABULARY) == named(expected)


@settings(deadline=None)
@given(token_terms(), st.floats(0, 1))
def test_fused_terms_weigh_both_bounds(query: TokenTerms, weight: float) -> None:
    upper, lower = upper_bound_terms(query, VOCABULARY), lower_bound_terms(query, VOCABULARY)
    expected = {term: weight * upper[term] + (1 - weight) * lower.get(term, 0.0) for term in upper}
    fused = fused_terms(query, VOCABULARY, weight)
    assert fused == pytest.approx({term: w for term, w in expected.items() if w >= np.finfo(np.float32).tiny})


@settings(deadline=None)
@given(token_terms(), st.sampled_from([0.99, 0.5, 0.0]))
def test_pyserinis_weights_add_one_term_the_last_that_was_seen(query: TokenTerms, weight: float) -> None:
    upper: dict[str, float] = {}
    seen = None
    for token in as_dicts(query):
        for i, w in token.items():
            upper[VOCABULARY[i]] = upper.get(VOCABULARY[i], 0.0) + w
            seen = VOCABULARY[i], w
    expected: dict[str, int] = {}
    for term, w in upper.items():
        lower = seen[1] if seen and seen[0] == term else 0.0
        expected[feature_name(term)] = round((weight * w + (1 - weight) * lower) / 5 * 256)
    assert pyserini_terms(query, VOCABULARY, weight) == {term: w for term, w in expected.items() if w}


def test_pyserinis_lower_bound_is_not_the_papers() -> None:
    query = TokenTerms(np.array([[0, 1], [2, 3]], np.int32), np.array([[9, 1], [7, 5]], np.float32))
    with_lower_bound_alone = pyserini_terms(query, VOCABULARY, fusion_weight=0)
    assert with_lower_bound_alone == {"\u2025" + "1": 256}
    assert lower_bound_terms(query, VOCABULARY) == {"sea": 9.0, "\u2024": 7.0}


def test_scaled_weights_are_whole_and_above_zero() -> None:
    assert whole_terms({"sea": 2.0, "otter": 0.51, "cat": 0.005}, 51.2) == {"sea": 102, "otter": 26}


@settings(deadline=None)
@given(token_terms(), token_terms())
def test_the_exact_score_is_the_naive_sparse_maxsim(query: TokenTerms, document: TokenTerms) -> None:
    assert slim_score(query, document) == pytest.approx(naive_score(query, document), rel=1e-5)


@settings(deadline=None)
@given(token_terms(), token_terms())
def test_the_exact_score_lies_between_the_bounds(query: TokenTerms, document: TokenTerms) -> None:
    stored = document_terms(document, VOCABULARY)
    exact = slim_score(query, document)
    slack = 1e-5 * exact
    assert score(lower_bound_terms(query, VOCABULARY), stored) <= exact + slack
    assert score(upper_bound_terms(query, VOCABULARY), stored) >= exact - slack


def test_padding_ids_of_weightless_places_do_not_hide_a_terms_weight() -> None:
    terms = TokenTerms(ids=np.array([[0, 0, 0]], dtype=np.int32), weights=np.array([[2.0, 0.0, 0.0]], dtype=np.float32))
    assert slim_score(terms, terms) == 4.0
    assert document_terms(terms, VOCABULARY) == {"sea": 2.0}


def test_weights_below_what_lucene_stores_are_dropped() -> None:
    weights = np.array([[1.0, 1.1754944e-38, 1e-39]], dtype=np.float32)
    terms = TokenTerms(ids=np.array([[0, 1, 7]], dtype=np.int32), weights=weights)
    assert list(document_terms(terms, VOCABULARY)) == ["sea", "otter"]


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("a.\u2024\u2025012")), st.text(alphabet=st.sampled_from("a.\u2024\u2025012")))
def test_feature_names_are_legal_and_distinct(one: str, other: str) -> None:
    name = feature_name(one)
    assert name
    assert "." not in name
    assert term_of(name) == one
    assert (name == feature_name(other)) == (one == other)


def test_a_dot_becomes_a_one_dot_leader() -> None:
    assert feature_name("v1.2") == "v1\u20242"
    assert feature_name("sea") == "sea"
