"""Choosing query tokens: against a brute-force greedy cover, and on words that are known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.encoding.query_tokens import by_cover, by_words, number_kept
from opensearch_multivector.errors import InputError

SHARES = st.floats(0.01, 1)


def unit(seed: int, count: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 6)) + 0.4
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def cover(vectors: np.ndarray, kept: tuple[int, ...]) -> float:
    return float((vectors @ vectors[list(kept)].T).max(axis=1).sum())


def rows(part: np.ndarray, whole: np.ndarray) -> list[int]:
    """Which rows of the whole these are, whatever they were multiplied by."""
    directions = part / np.linalg.norm(part, axis=1, keepdims=True)
    return (directions @ whole.T).argmax(axis=1).tolist()


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(1, 7), SHARES)
def test_the_cover_is_the_greedy_one_and_near_the_best(seed: int, count: int, share: float) -> None:
    vectors = unit(seed, count)
    kept = rows(by_cover(vectors, share), vectors)
    assert len(kept) == number_kept(share, count) >= 1
    greedy: tuple[int, ...] = ()
    for _ in kept:
        covers = {token: cover(vectors, (*greedy, token)) for token in set(range(count)) - set(greedy)}
        chosen = max(set(kept) - set(greedy), key=lambda token: covers[token])
        # Two tokens alone cover equally much, whichever stays: equal but for rounding is as good.
        assert covers[chosen] >= max(covers.values()) - 1e-5
        greedy += (chosen,)
    best = max(cover(vectors, some) for some in combinations(range(count), len(kept)))
    # 1 - 1/e holds for a cover that starts at 0; similarities start at -1.
    assert cover(vectors, greedy) + count >= (1 - 1 / np.e) * (best + count)


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(1, 12), SHARES)
def test_kept_tokens_stand_for_all(seed: int, count: int, share: float) -> None:
    weights = np.linalg.norm(by_cover(unit(seed, count), share), axis=1)
    assert weights.sum() == pytest.approx(count, rel=1e-5)
    assert (weights > 0.99).all()


def test_repeated_tokens_cost_nothing_to_leave_out() -> None:
    distinct, document = unit(1, 3), unit(2, 5)
    query = distinct[[0, 1, 1, 2, 1, 0]]
    assert maxsim(by_cover(query, 0.5), document) == pytest.approx(maxsim(query, document), rel=1e-5)


def test_all_tokens_are_the_query_itself() -> None:
    vectors = unit(3, 8)
    np.testing.assert_array_equal(by_cover(vectors, 1), vectors)
    offsets = np.zeros((8, 2), np.int32)
    np.testing.assert_array_equal(by_words(vectors, 1, "", offsets), vectors)
    assert len(by_cover(vectors[:0], 0.5)) == 0


def test_words_of_meaning_stay_longest() -> None:
    text = "What is the otter-keeping of Otterbourne?"
    spans = [
        (0, 0),
        (0, 4),
        (5, 7),
        (8, 11),
        (12, 17),
        (17, 18),
        (18, 25),
        (26, 28),
        (29, 34),
        (34, 40),
        (40, 41),
        (0, 0),
    ]
    vectors, offsets = unit(4, len(spans)), np.array(spans, np.int32)

    def kept(number: int) -> set[str]:
        chosen = rows(by_words(vectors, number / len(spans), text, offsets), vectors)
        return {text[slice(*spans[i])] for i in chosen}

    assert kept(4) == {"otter", "keeping", "Otter", "bourne"}
    assert kept(8) == kept(4) | {"What", "is", "the", "of"}
    assert kept(10) == kept(8) | {"-", "?"}
    with pytest.raises(InputError, match="12 vectors but offsets of 3"):
        by_words(vectors, 0.5, text, offsets[:3])
