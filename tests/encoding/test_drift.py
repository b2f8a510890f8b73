from __future__ import annotations

import numpy as np
import pytest

from opensearch_multivector.encoding.codebook_training import train_codebook
from opensearch_multivector.encoding.drift import drift
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.kmeans import unit_rows
from opensearch_multivector.errors import InputError, MismatchError

DIM = 16


def tokens(kind: int, seed: int, count: int = 3000) -> FloatArray:
    directions = np.random.default_rng(kind).normal(size=(25, DIM))
    random = np.random.default_rng(seed)
    return unit_rows(
        (directions[random.integers(0, 25, count)] + 0.8 * random.normal(size=(count, DIM))).astype(np.float32)
    )


CODEBOOK = train_codebook(tokens(0, 1), 64)


def test_the_figures_are_their_definition() -> None:
    new = tokens(0, 2, 200)
    best = (new @ CODEBOOK.centroids.T).max(axis=1).mean()
    found = drift(CODEBOOK, new * np.float32(3))
    assert found.mean_similarity == pytest.approx(float(best), abs=1e-5)
    assert found.relative_loss == pytest.approx(float((1 - best) / (1 - CODEBOOK.mean_similarity)), rel=1e-3)


def test_it_is_one_for_documents_of_the_same_kind_and_grows_with_those_of_another() -> None:
    same, other = tokens(0, 3), tokens(1, 3)
    losses = [drift(CODEBOOK, np.concatenate([same[k:], other[:k]])).relative_loss for k in (0, 1000, 2000, 3000)]
    assert losses[0] == pytest.approx(1, abs=0.05)
    assert losses == sorted(losses)
    assert not drift(CODEBOOK, same).retrain
    assert drift(CODEBOOK, other).retrain


def test_a_larger_codebook_loses_less() -> None:
    similarities = [train_codebook(tokens(0, 1), size).mean_similarity for size in (4, 16, 64)]
    assert similarities == sorted(similarities)


def test_bad_input_is_one_clear_sentence() -> None:
    with pytest.raises(InputError, match="no token vectors"):
        drift(CODEBOOK, np.empty((0, DIM), np.float32))
    with pytest.raises(MismatchError, match="3 dimensions"):
        drift(CODEBOOK, np.ones((1, 3), np.float32))
