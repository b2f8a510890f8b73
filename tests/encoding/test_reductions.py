"""Every reduction keeps one contract; what they share: parsing, chains, merging and its spans."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.reductions import (
    REDUCTIONS,
    DocumentTokens,
    Reducer,
    Reduction,
    described,
    parse_reductions,
)
from opensearch_multivector.encoding.reductions.merging import merged
from opensearch_multivector.errors import InputError, MismatchError

DIM = 12
TEXT = "the heart-attack patients were given unaffordable beta-blockers, and the heart healed"

# One of each name at least; small numbers, so that short documents are reduced as well.
EXPRESSIONS = (
    "pool:factor=2", "pool:factor=3", "count:vectors=4", "kmeans:factor=3", "kmeans:vectors=3", "words",
    "words:unique=true", "stopwords", "stopwords:words=heart given,punctuation=false", "first:vectors=5",
    "prune:factor=2", "fft:factor=3", "cut:dim=5", "pca:dim=5", "leanvec:dim=5",
)  # fmt: skip


def unit(seed: int, count: int, dim: int = DIM) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dim)) + 0.3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def document(seed: int, count: int, length: float = 1.0) -> DocumentTokens:
    """Tokens of three characters each, the first one special."""
    offsets = np.array([(3 * i, 3 * i + 3) for i in range(count)], np.int32).reshape(-1, 2)
    offsets[:1] = 0
    return DocumentTokens(unit(seed, count) * np.float32(length), offsets, TEXT)


@lru_cache
def ready(expression: str) -> Reducer:
    reductions = parse_reductions(expression)
    state = Reducer(reductions).train([document(i, 20) for i in range(9)], [unit(90 + i, 6) for i in range(9)])
    return Reducer(reductions, state)


def test_every_reduction_is_tried_here() -> None:
    assert {reduction.name for expression in EXPRESSIONS for reduction in parse_reductions(expression)} == {*REDUCTIONS}
    assert all(name == cls.name and issubclass(cls, Reduction) for name, cls in REDUCTIONS.items())


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("count", [0, 1, 2, 7, 29])
@pytest.mark.parametrize("length", [1.0, 2.5])
def test_the_contract(expression: str, count: int, length: float) -> None:
    reducer = ready(expression)
    given_ = document(3, count, length)
    before = given_.vectors.copy()
    made = reducer.document(given_)
    dim = reducer.out_dim(DIM)
    assert (given_.vectors == before).all()
    assert made.vectors.dtype == np.float32
    assert made.vectors.shape == (len(made.vectors), dim)
    assert min(count, 1) <= len(made.vectors) <= count
    assert made.vectors.shape < given_.vectors.shape or count < 20
    np.testing.assert_allclose(np.linalg.norm(made.vectors, axis=1), length, rtol=1e-5)
    assert made.text == TEXT
    assert made.offsets is not None
    assert made.offsets.dtype == np.int32
    assert made.offsets.shape == (len(made.vectors), 2)
    assert (made.offsets[:, 0] <= made.offsets[:, 1]).all()
    assert np.isin(made.offsets[:, 0], given_.offsets[:, 0]).all()
    assert np.isin(made.offsets[:, 1], given_.offsets[:, 1]).all()
    again = reducer.document(given_)
    assert (again.vectors == made.vectors).all()
    assert (again.offsets == made.offsets).all()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_keeps_tokens_says_so_and_a_description_builds_the_same(expression: str) -> None:
    reducer, reductions = ready(expression), parse_reductions(expression)
    assert (len(reducer.document(document(3, 29)).vectors) == 29) == reducer.keeps_tokens
    assert parse_reductions(described(reductions)) == reductions
    assert described(parse_reductions(described(reductions))) == described(reductions)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_queries_get_the_documents_dimension_and_lose_no_token(expression: str) -> None:
    reducer = ready(expression)
    query = unit(5, 4)
    reduced = reducer.query(query)
    assert reduced.shape == (4, reducer.out_dim(DIM))
    assert reduced.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(reduced, axis=1), 1, rtol=1e-5)
    if reducer.out_dim(DIM) == DIM:
        assert (reduced == query).all()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_text_is_asked_for_by_those_that_read_it_and_by_no_others(expression: str) -> None:
    reducer, (reduction,) = ready(expression), parse_reductions(expression)
    without = DocumentTokens(unit(1, 9))
    if reduction.needs_text:
        with pytest.raises(InputError, match="ready-made"):
            reducer.document(without)
    else:
        assert reducer.document(without).offsets is None


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_needs_training_is_refused_without_and_is_the_same_after_storing(expression: str) -> None:
    reductions = parse_reductions(expression)
    untrained = Reducer(reductions)
    if not untrained.needs_training:
        assert untrained.train([document(1, 9)]) == {}
        return
    with pytest.raises(MismatchError, match="not been trained"):
        untrained.document(document(1, 9))
    with pytest.raises(MismatchError, match="not been trained"):
        untrained.query(unit(1, 9))
    with pytest.raises(InputError, match="can't be trained without"):
        untrained.train([], [])


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("pol:factor=2", "unknown reduction 'pol': choose of pool"),
        ("pool:factor=0", "factor must be 1 or more, not 0"),
        ("count:vectors=0", "vectors must be 1 or more"),
        ("kmeans:factor=0", "factor must be 1"),
        ("kmeans:vectors=-2", "vectors must be 0 or more"),
        ("first:vectors=0", "vectors must be 1"),
        ("prune:factor=0", "factor must be 1"),
        ("fft:factor=0", "factor must be 1"),
        ("cut:dim=0", "dim must be 1"),
        ("pca:dim=0", "dim must be 1"),
        ("leanvec:dim=-3", "dim must be 1"),
        ("cut:size=3", "it takes dim=64"),
        ("pool|", "unknown reduction ''"),
    ],
)
def test_nonsense_is_refused(expression: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse_reductions(expression)


@pytest.mark.parametrize("name", ["cut", "pca", "leanvec"])
def test_more_dimensions_than_there_are_is_refused(name: str) -> None:
    reducer = Reducer(parse_reductions(f"{name}:dim={DIM + 1}"))
    with pytest.raises(InputError, match="vectors have 12 dimensions, 13 can't be kept"):
        reducer.out_dim(DIM)
    if reducer.needs_training:
        with pytest.raises(InputError, match="vectors have 12 dimensions"):
            reducer.train([document(1, 9)], [unit(2, 9)])


def test_a_chain_applies_one_after_the_other_and_trains_on_what_comes_before() -> None:
    assert parse_reductions("") == parse_reductions("  ") == ()
    chain = ready("cut:dim=8 | pool:factor=2 | pca:dim=3")
    assert chain.out_dim(DIM) == 3
    made = chain.document(document(4, 9))
    assert made.vectors.shape == (5, 3)
    step = ready("cut:dim=8|pool:factor=2").document(document(4, 9))
    pooled = [ready("cut:dim=8|pool:factor=2").document(document(i, 20)) for i in range(9)]
    pca = Reducer(parse_reductions("pca:dim=3"))
    pca = Reducer(parse_reductions("pca:dim=3"), pca.train(pooled))
    np.testing.assert_allclose(made.vectors, pca.document(step).vectors, atol=1e-6)
    with pytest.raises(InputError, match="vectors have 3 dimensions"):
        Reducer(parse_reductions("cut:dim=3|pca:dim=4")).out_dim(DIM)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 500), st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_merging_gives_normalised_means_in_the_order_of_first_tokens(seed: int, groups: list[int]) -> None:
    tokens = document(seed, len(groups))
    made = merged(tokens, np.array(groups))
    for vector, group in zip(made.vectors, dict.fromkeys(groups), strict=True):
        mean = tokens.vectors[np.array(groups) == group].mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 500), st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_a_merged_span_holds_the_most_central_token_and_only_neighbours_of_its_group(
    seed: int, groups: list[int]
) -> None:
    tokens = document(seed, len(groups))
    assert tokens.offsets is not None
    made = merged(tokens, np.array(groups))
    assert made.offsets is not None
    for vector, (start, end), group in zip(made.vectors, made.offsets.tolist(), dict.fromkeys(groups), strict=True):
        members = [i for i, other in enumerate(groups) if other == group and i > 0]
        if not members:  # the special token alone
            assert (start, end) == (0, 0)
            continue
        central = max(members, key=lambda i: round(float(tokens.vectors[i] @ vector), 4))
        low = high = central
        while low - 1 in members:
            low -= 1
        while high + 1 in members:
            high += 1
        assert (start, end) == (tokens.offsets[low, 0], tokens.offsets[high, 1])


def test_a_description_names_every_parameter() -> None:
    assert described(parse_reductions("pool|words|cut:dim=8")) == "pool:factor=2|words:unique=False|cut:dim=8"


def test_vectors_that_cancel_out_become_zeros_and_nothing_worse() -> None:
    vectors = np.array([[1, 0], [-1, 0]], np.float32)
    assert (merged(DocumentTokens(vectors), np.array([0, 0])).vectors == 0).all()
