"""Reductions of the number of tokens, on texts that are known and against naive references."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.encoding.reductions import DocumentTokens, Reducer, parse_reductions


def unit(seed: int, count: int, dim: int = 8) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dim)) + 0.3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def tokenised(text: str, *pieces: str) -> DocumentTokens:
    """Tokens of a text that is made of these pieces, between a first and a last special token."""
    spans, at = [(0, 0)], 0
    for piece in pieces:
        at = text.index(piece, at)
        spans.append((at, at := at + len(piece)))
    spans.append((0, 0))
    return DocumentTokens(unit(len(text), len(spans)), np.array(spans, np.int32), text)


def reduced(expression: str, tokens: DocumentTokens, state: dict[str, Any] | None = None) -> DocumentTokens:
    return Reducer(parse_reductions(expression), state).document(tokens)


def surfaces(tokens: DocumentTokens) -> list[str]:
    assert tokens.text is not None
    assert tokens.offsets is not None
    return [tokens.text[start:end] for start, end in tokens.offsets.tolist()]


def rows(part: np.ndarray, whole: np.ndarray) -> list[int]:
    return [int(np.flatnonzero((whole == row).all(axis=1))[0]) for row in part]


OTTER = tokenised(
    "Otters unmoor. The otters' boat!", "Otter", "s", "un", "moor", ".", "The", "otter", "s", "'", "boat", "!"
)


def test_words_are_the_means_of_their_pieces() -> None:
    made = reduced("words", OTTER)
    assert surfaces(made) == ["", "Otters", "unmoor", ".", "The", "otters", "'", "boat", "!", ""]
    mean = OTTER.vectors[3:5].sum(axis=0)
    np.testing.assert_allclose(made.vectors[2], mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(made.vectors[[0, -1]], OTTER.vectors[[0, -1]], atol=1e-6)


def test_unique_words_are_the_means_of_all_their_occurrences() -> None:
    made = reduced("words:unique=true", OTTER)
    assert [word.lower() for word in surfaces(made)] == ["", "otters", "unmoor", ".", "the", "'", "boat", "!", ""]
    mean = OTTER.vectors[[1, 2, 7, 8]].sum(axis=0)
    np.testing.assert_allclose(made.vectors[1], mean / np.linalg.norm(mean), atol=1e-6)


def test_pieces_that_start_with_a_blank_belong_to_the_word_after_it() -> None:
    tokens = tokenised("the sea otter", "the", " sea", " ot", "ter")
    assert surfaces(reduced("words", tokens)) == ["", "the", " sea", " otter", ""]
    assert surfaces(reduced("stopwords", tokens)) == ["", " sea", " ot", "ter", ""]


def test_scripts_without_blanks_keep_their_tokens() -> None:
    tokens = tokenised("海獭在海里吃 mussels", "海", "獭", "在", "海", "里", "吃", "mus", "sels")
    assert surfaces(reduced("words", tokens)) == ["", *"海獭在海里吃", "mussels", ""]


def test_a_word_cut_by_truncation_is_what_is_left_of_it() -> None:
    assert surfaces(reduced("words", tokenised("unmoored boats", "un", "moor"))) == ["", "unmoor", ""]


@pytest.mark.parametrize(
    ("expression", "left"),
    [
        ("stopwords", ["", "Otter", "s", "un", "moor", "otter", "s", "boat", ""]),
        ("stopwords:special=true", ["Otter", "s", "un", "moor", "otter", "s", "boat"]),
        ("stopwords:punctuation=false", ["", "Otter", "s", "un", "moor", ".", "otter", "s", "'", "boat", "!", ""]),
        ("stopwords:words=OTTERS boat", ["", "un", "moor", "The", ""]),
    ],
)
def test_stop_words_and_punctuation_go(expression: str, left: list[str]) -> None:
    made = reduced(expression, OTTER)
    assert surfaces(made) == left
    assert rows(made.vectors, OTTER.vectors) == sorted(rows(made.vectors, OTTER.vectors))


def test_a_document_of_stop_words_keeps_them() -> None:
    tokens = tokenised("to be or", "to", "be", "or")
    made = reduced("stopwords:special=true", tokens)
    assert (made.vectors == tokens.vectors).all()


def test_the_first_vectors_are_kept() -> None:
    assert (reduced("first:vectors=3", OTTER).vectors == OTTER.vectors[:3]).all()
    assert (reduced("first:vectors=99", OTTER).vectors == OTTER.vectors).all()


@pytest.mark.parametrize(("tokens", "vectors"), [(3, 5), (5, 5), (40, 5)])
def test_count_is_the_most_there_are(tokens: int, vectors: int) -> None:
    assert len(reduced("count:vectors=5", DocumentTokens(unit(1, tokens))).vectors) == min(tokens, vectors)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 500), st.integers(1, 40), st.integers(1, 6))
def test_kmeans_gives_means_of_a_partition_into_nearest(seed: int, count: int, factor: int) -> None:
    vectors = unit(seed, count)
    made = reduced(f"kmeans:factor={factor}", DocumentTokens(vectors)).vectors
    assert 1 <= len(made) <= -(-count // factor)
    # A vector is nearest to its own mean, or so near that the last iteration has not moved it yet.
    own = (vectors @ made.T).argmax(axis=1)
    means = np.stack([vectors[own == group].sum(axis=0) for group in range(len(made))])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    assert np.einsum("ij,ij->i", means, made).min() > 0.8


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 500), st.integers(1, 20), st.integers(1, 5))
def test_pruning_takes_what_the_probes_would_miss_least_each_time(seed: int, count: int, factor: int) -> None:
    vectors, probes = unit(seed, count), unit(seed + 1, 60)
    left = list(range(count))
    while len(left) > -(-count // factor):
        without = {token: maxsim(probes, vectors[[other for other in left if other != token]]) for token in left}
        left.remove(max(left, key=without.__getitem__))
    made = reduced(f"prune:factor={factor}", DocumentTokens(vectors), {"0.probes": probes}).vectors
    assert len(made) == len(left)
    # Tokens that cost the same to the last bit may go in another order.
    assert maxsim(probes, made) == pytest.approx(maxsim(probes, vectors[left]), rel=1e-4)


def test_pruning_loses_nothing_while_no_probe_matches_what_goes() -> None:
    probes = unit(5, 40)
    document = np.concatenate([probes[:6], unit(6, 6) * np.float32(0.1)])
    made = reduced("prune:factor=2", DocumentTokens(document), {"0.probes": probes[:6]}).vectors
    assert (made == probes[:6]).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 500), st.integers(2, 60), st.integers(1, 5))
def test_low_pass_keeps_slow_waves_and_drops_fast_ones(seed: int, count: int, factor: int) -> None:
    size = -(-count // factor)
    rng = np.random.default_rng(seed)

    def wave(frequency: int, samples: int) -> np.ndarray:
        return np.cos(np.pi * frequency * (np.arange(samples) + 0.5) / samples)[:, None]

    def signal(frequencies: range, samples: int) -> np.ndarray:
        waves = [wave(frequency, samples) * directions[frequency] for frequency in frequencies]
        return np.sum(waves, axis=0) if waves else np.zeros((samples, 4))

    directions = rng.normal(size=(count, 4))
    expected = signal(range(size), size)
    heard = signal(range(size), count) + signal(range(size, count), count)
    made = reduced(f"fft:factor={factor}", DocumentTokens(heard.astype(np.float32))).vectors
    cosines = np.einsum("ij,ij->i", made, expected) / (np.linalg.norm(made, axis=1) * np.linalg.norm(expected, axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-2)


def test_low_pass_samples_lie_over_the_tokens_around_them() -> None:
    made = reduced("fft:factor=4", OTTER)
    assert surfaces(made) == ["Otters un", "moor. The", "otters'", "boat!"]
