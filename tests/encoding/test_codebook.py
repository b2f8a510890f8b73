from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.codebook import NBITS, Codebook
from opensearch_multivector.encoding.codebook_training import (
    GREATEST_SIZE,
    LEAST_SIZE,
    TOKENS_A_CENTROID,
    codebook_size,
    train_codebook,
)
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.kmeans import kmeans, unit_rows
from opensearch_multivector.errors import InputError, MismatchError

SEEDS = st.integers(0, 2**32 - 1)


def mixture(seed: int, count: int, centres: int = 12, dim: int = 16, spread: float = 0.2) -> FloatArray:
    """Unit vectors around a few random directions, in random order."""
    random = np.random.default_rng(seed)
    directions = unit_rows(random.normal(size=(centres, dim)).astype(np.float32))
    noise = spread / np.sqrt(dim) * random.normal(size=(count, dim))
    return unit_rows((directions[random.integers(0, centres, count)] + noise).astype(np.float32))


@pytest.fixture(scope="module")
def codebook() -> Codebook:
    return train_codebook(mixture(0, 2000), 32)


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(1, 300), st.integers(1, 40), st.integers(1, 20))
def test_centroids_are_unit_rows_and_no_more_than_asked(seed: int, count: int, size: int, dim: int) -> None:
    codebook = train_codebook(mixture(seed, count, dim=dim), size, iterations=3)
    assert codebook.centroids.shape == (codebook.size, dim)
    assert codebook.size <= min(size, count)
    np.testing.assert_allclose(np.linalg.norm(codebook.centroids, axis=1), 1, atol=2**-11)
    assert codebook.shares.sum() == pytest.approx(1, abs=1e-5)


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(0, 50), st.integers(1, 40))
def test_assignment_is_the_brute_force_argmax(codebook: Codebook, seed: int, count: int, nprobe: int) -> None:
    vectors = unit_rows(np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32))
    every = vectors @ codebook.centroids.T
    ids, similarities = codebook.nearest(vectors, nprobe)
    width = min(nprobe, codebook.size)
    assert ids.shape == similarities.shape == (count, width)
    assert np.array_equal(codebook.assign(vectors), ids[:, 0])
    np.testing.assert_allclose(similarities, -np.sort(-every, axis=1)[:, :width], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(every, ids, axis=1), similarities, atol=1e-6)
    assert all(len(set(row)) == width for row in ids.tolist())


def test_blocks_do_not_change_the_assignment(codebook: Codebook, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = mixture(5, 500)
    whole, (nearest, _) = codebook.assign(vectors), codebook.nearest(vectors, 3)
    monkeypatch.setattr("opensearch_multivector.encoding.kmeans.BLOCK_SIMILARITIES", 7 * codebook.size)
    assert np.array_equal(codebook.assign(vectors), whole)
    assert np.array_equal(codebook.nearest(vectors, 3)[0], nearest)


def test_every_direction_of_a_clear_mixture_gets_its_centroid() -> None:
    random = np.random.default_rng(3)
    directions = unit_rows(random.normal(size=(8, 24)).astype(np.float32))
    sample = np.repeat(directions, 50, axis=0)[random.permutation(400)]
    found = kmeans(sample, 8, iterations=10, spherical=True)
    assert (found @ directions.T).max(axis=0) == pytest.approx(np.ones(8), abs=1e-5)


def test_a_centroid_that_nothing_belongs_to_starts_again_at_the_worst_served() -> None:
    # All the first centroids are one and the same vector; the other direction can only come by starting again.
    sample = np.repeat(np.eye(4, dtype=np.float32)[:2], [999, 1], axis=0)
    found = kmeans(sample, 3, iterations=4, spherical=True)
    assert np.array_equal(found[np.lexsort(found.T)], np.eye(4, dtype=np.float32)[:2])


def test_fewer_different_vectors_than_centroids_give_fewer_centroids() -> None:
    sample = np.repeat(unit_rows(np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)), 20, axis=0)
    codebook = train_codebook(sample[np.random.default_rng(2).permutation(100)], 64)
    # Means of equal vectors may differ in their last bit, and be taken for two.
    assert 5 <= codebook.size <= 10
    np.testing.assert_allclose((sample @ codebook.centroids.T).max(axis=1), 1, atol=1e-3)


def test_vectors_that_cancel_out_leave_a_direction() -> None:
    found = kmeans(np.array([[1, 0], [-1, 0]], np.float32), 1, spherical=True)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.integers(1, 12))
def test_euclidean_kmeans_serves_no_worse_with_every_iteration(seed: int, size: int) -> None:
    sample = np.random.default_rng(seed).normal(size=(200, 6)).astype(np.float32)

    def loss(iterations: int) -> float:
        centroids = kmeans(sample, size, iterations=iterations)
        return float(((sample[:, None] - centroids) ** 2).sum(axis=2).min(axis=1).mean())

    losses = [loss(iterations) for iterations in (1, 2, 4, 8)]
    assert all(after <= before + 1e-5 for before, after in pairwise(losses))


def test_the_same_seed_gives_the_same_codebook_and_another_seed_another() -> None:
    sample = mixture(7, 1000)
    assert train_codebook(sample, 20, seed=4).id == train_codebook(sample, 20, seed=4).id
    assert train_codebook(sample, 20, seed=4).id != train_codebook(sample, 20, seed=5).id


def test_a_sample_in_half_precision_is_widened_and_nothing_else() -> None:
    sample = mixture(7, 1000).astype(np.float16)
    assert train_codebook(sample, 20).id == train_codebook(sample.astype(np.float32), 20).id


def test_lengths_do_not_count() -> None:
    sample = mixture(7, 400)
    scaled = sample * np.random.default_rng(0).uniform(0.1, 9, (400, 1)).astype(np.float32)
    np.testing.assert_allclose(train_codebook(scaled, 10).centroids, train_codebook(sample, 10).centroids, atol=2e-3)


def test_arrays_come_back_to_the_bit(codebook: Codebook) -> None:
    again = Codebook.from_arrays(codebook.arrays())
    assert again.id == codebook.id
    assert np.array_equal(again.centroids, codebook.centroids)
    assert again.mean_similarity == codebook.mean_similarity
    for name, array in codebook.arrays().items():
        assert np.array_equal(again.arrays()[name], array)


@pytest.mark.parametrize("name", ["centroids", "shares", "mean_similarity", "cutoffs_2", "weights_4"])
def test_the_id_is_of_the_content(codebook: Codebook, name: str) -> None:
    arrays = {key: array.copy() for key, array in codebook.arrays().items()}
    arrays[name].flat[0] += arrays[name].dtype.type(0.25)
    assert Codebook.from_arrays(arrays).id != codebook.id
    del arrays[name]
    with pytest.raises(InputError, match=name):
        Codebook.from_arrays(arrays)


def test_residuals_fall_evenly_into_the_buckets() -> None:
    held_out = mixture(1, 40_000)[-2000:]
    codebook = train_codebook(mixture(1, 40_000), 24)
    residuals = (held_out - codebook.centroids[codebook.assign(held_out)]).ravel()
    for nbits in NBITS:
        cutoffs, weights = codebook.cutoffs[nbits], codebook.weights[nbits]
        assert (cutoffs.shape, weights.shape) == ((2**nbits - 1,), (2**nbits,))
        buckets = np.searchsorted(cutoffs, residuals)
        np.testing.assert_allclose(np.bincount(buckets) / len(residuals), 1 / 2**nbits, atol=1e-3)
        # A bucket is read back as its own median.
        for bucket, weight in enumerate(weights):
            assert (residuals[buckets == bucket] < weight).mean() == pytest.approx(0.5, abs=2e-2)


def test_mean_similarity_is_of_the_tokens_held_out(codebook: Codebook) -> None:
    held_out = mixture(0, 2000)[-100:]
    own = codebook.centroids[codebook.assign(held_out)]
    assert codebook.mean_similarity == pytest.approx(float((held_out * own).sum(axis=1).mean()), abs=1e-6)


@given(st.integers(0, 10**12), st.none() | st.integers(0, 10**9))
def test_sizes_are_powers_of_two_within_bounds(tokens: int, sample: int | None) -> None:
    size = codebook_size(tokens, sample)
    assert LEAST_SIZE <= size <= GREATEST_SIZE
    assert size.bit_count() == 1
    assert size <= max(LEAST_SIZE, 16 * tokens**0.5 + 1e-6)
    if sample is not None:
        assert size <= max(LEAST_SIZE, sample / TOKENS_A_CENTROID)
    assert codebook_size(4 * tokens, None) >= codebook_size(tokens, None)


def test_plaids_rule() -> None:
    assert codebook_size(1_242_000) == 16_384
    assert codebook_size(598_000_000) == 1 << 18
    assert codebook_size(1_242_000, 350_000) == 8_192


def test_bad_input_is_one_clear_sentence(codebook: Codebook) -> None:
    with pytest.raises(InputError, match="zero"):
        train_codebook(np.zeros((4, 8), np.float32), 2)
    with pytest.raises(InputError, match="at least one"):
        train_codebook(mixture(0, 10), 0)
    with pytest.raises(InputError, match="nprobe"):
        codebook.nearest(mixture(0, 2), 0)
    with pytest.raises(MismatchError, match="8 dimensions"):
        codebook.assign(np.ones((2, 8), np.float32))
