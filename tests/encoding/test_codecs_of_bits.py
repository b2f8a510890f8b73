"""`bit`, `int4` and the residual codecs against their papers' formulas, and what they lose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.encoding.codebook_training import train_codebook
from opensearch_multivector.encoding.codecs import codec_named, decode_blob, encode_blob
from opensearch_multivector.encoding.codecs.blob import seal
from opensearch_multivector.encoding.codecs.packing import byte_values, pack, unpack
from opensearch_multivector.encoding.codecs.rotation import rotation
from opensearch_multivector.encoding.kmeans import unit_rows
from opensearch_multivector.encoding.maxsim import maxsim_blobs
from opensearch_multivector.errors import BlobError, MismatchError
from tests.encoding.tiny_codebooks import tiny_codebook

RESIDUAL = ("residual1", "residual2", "residual4")


def units(seed: int, count: int, dim: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32))


@given(st.sampled_from([1, 2, 4]), st.integers(0, 5), st.integers(1, 21), st.integers(0, 99))
@settings(deadline=None)
def test_packed_codes_come_back(nbits: int, count: int, dim: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    codes = random.integers(0, 2**nbits, size=(count, dim)).astype(np.uint8)
    values = random.normal(size=2**nbits).astype(np.float32)
    packed = pack(codes, nbits)
    assert packed.shape == (count, -(-dim * nbits // 8))
    np.testing.assert_array_equal(unpack(packed, byte_values(values))[:, :dim], values[codes])


@pytest.mark.parametrize("dim", [1, 2, 3, 5, 16, 31, 96, 384])
def test_rotation_keeps_lengths_and_angles(dim: int) -> None:
    np.testing.assert_allclose(rotation(dim).astype(np.float64) @ rotation(dim).T, np.eye(dim), atol=1e-6)


@pytest.mark.parametrize("dim", [96, 128, 384])
def test_rotation_spreads_every_axis_over_all_components(dim: int) -> None:
    # Of a random rotation no entry among these few thousand is over 6 / sqrt(dim), and the fourth moment is Gaussian's.
    scaled = rotation(dim) * np.sqrt(dim)
    assert np.abs(scaled).max() < 6
    assert (scaled**4).mean() == pytest.approx(3, abs=0.3)


def split_mix(position: int) -> int:
    mask = (1 << 64) - 1
    word = (position + 1) * 0x9E3779B97F4A7C15 & mask
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & mask
    word = (word ^ word >> 27) * 0x94D049BB133111EB & mask
    return word ^ word >> 31


def hadamard(size: int) -> np.ndarray:
    if size == 1:
        return np.ones((1, 1))
    half = hadamard(size // 2)
    return np.block([[half, half], [half, -half]])


@pytest.mark.parametrize("dim", [1, 2, 3, 8, 13, 384])
def test_rotation_is_as_documented_and_so_never_changes(dim: int) -> None:
    assert split_mix(0) == 0xE220A8397B1DCDAF  # the first number of the published generator with seed 0
    width = 2 ** (len(f"{dim:b}") - 1)
    expected = np.eye(dim)
    for number in range(4):
        expected = expected * [-1 if split_mix(number * dim + i) >> 63 else 1 for i in range(dim)]
        first = 0 if number % 2 == 0 else dim - width
        part = slice(first, first + width)
        expected[:, part] = expected[:, part] @ hadamard(width) / np.sqrt(width)
    np.testing.assert_allclose(rotation(dim), expected, atol=1e-6)


@given(st.integers(0, 999), st.integers(0, 6), st.integers(1, 70))
@settings(deadline=None, max_examples=60)
def test_bit_is_rabitq(seed: int, count: int, dim: int) -> None:
    vectors = units(seed, count, dim) * np.float32(2.5)
    back = decode_blob(encode_blob(vectors, "bit")).astype(np.float64)
    signs = np.where(vectors.astype(np.float64) @ rotation(dim) > 0, 1, -1)
    agreement = (signs * (vectors.astype(np.float64) @ rotation(dim))).sum(axis=1, keepdims=True)
    expected = 2.5**2 / np.where(agreement > 0, agreement, 1) * (signs @ rotation(dim).T)
    np.testing.assert_allclose(back, expected, atol=1e-4)
    # Exact in the direction of the vector itself.
    np.testing.assert_allclose((back * vectors).sum(axis=1), 2.5**2, rtol=1e-4)


@pytest.mark.parametrize("dim", [96, 384])
def test_bit_estimates_without_bias_and_within_the_stated_error(dim: int) -> None:
    documents, queries = units(1, 2000, dim), units(2, 50, dim)
    # Queries near documents, too: cosines from 0 to nearly 1.
    queries = unit_rows(queries + np.linspace(0, 2, 50, dtype=np.float32)[:, None] * documents[:50])
    exact = documents @ queries.T
    errors = decode_blob(encode_blob(documents, "bit")) @ queries.T - exact
    standard = errors / np.sqrt(1 - exact.astype(np.float64) ** 2) * np.sqrt(dim - 1) / 0.755
    assert standard.std() == pytest.approx(1, abs=0.05)
    assert abs(standard.mean()) < 0.02
    assert np.abs(standard).max() < 6


@given(st.integers(0, 999), st.integers(0, 6), st.integers(1, 21), st.sampled_from(RESIDUAL))
@settings(deadline=None, max_examples=100)
def test_residual_is_centroid_plus_buckets_at_the_vectors_norm(seed: int, count: int, dim: int, name: str) -> None:
    codebook, nbits = tiny_codebook(dim), int(name[-1])
    vectors = units(seed, count, dim) * np.float32(0.3)
    back = decode_blob(encode_blob(vectors, name, codebook), codebook)
    for vector, decoded in zip(vectors, back, strict=True):
        unit = vector / np.linalg.norm(vector)
        centroid = max(codebook.centroids, key=lambda each: float(each @ unit))
        buckets = [int((rest > codebook.cutoffs[nbits]).sum()) for rest in unit - centroid]
        expected = centroid + codebook.weights[nbits][buckets]
        np.testing.assert_allclose(decoded, 0.3 * expected / np.linalg.norm(expected), atol=1e-5)


def clustered() -> tuple[Codebook, np.ndarray]:
    random = np.random.default_rng(0)
    centres = units(3, 40, 32)
    tokens = unit_rows(centres[random.integers(0, 40, 4000)] + 0.08 * random.normal(size=(4000, 32)).astype(np.float32))
    return train_codebook(tokens[:3000], 40), tokens[3000:]


def test_more_bits_lose_less() -> None:
    codebook, tokens = clustered()
    losses = {
        name: 1 - (unit_rows(decode_blob(encode_blob(tokens, name, codebook), codebook)) * tokens).sum(axis=1).mean()
        for name in ("bit", "int4", "int8", *RESIDUAL)
    }
    assert losses["int8"] < losses["int4"] < losses["residual4"] < losses["residual2"] < losses["residual1"]
    assert losses["residual1"] < losses["bit"]


def test_blobs_of_another_codebook_are_refused_and_none_is_a_mismatch() -> None:
    own, other = tiny_codebook(8), tiny_codebook(8, seed=1)
    blob = encode_blob(units(0, 3, 8), "residual2", own)
    with pytest.raises(BlobError, match=f"codebook {own.id}, the index has {other.id}"):
        decode_blob(blob, other)
    with pytest.raises(MismatchError, match="'residual2' needs the codebook"):
        decode_blob(blob)
    with pytest.raises(MismatchError, match="'residual2' needs the codebook"):
        encode_blob(units(0, 3, 8), "residual2")
    with pytest.raises(MismatchError, match="9 dimensions, codebook"):
        encode_blob(units(0, 3, 9), "residual2", own)
    scores, errors = maxsim_blobs(units(1, 2, 8), [blob, encode_blob(units(0, 3, 8), "residual2", other)], codebook=own)
    assert np.isfinite(scores[0])
    assert list(errors) == [1]


def test_a_centroid_that_is_not_there_is_refused() -> None:
    codebook = tiny_codebook(8)
    codec = codec_named("residual1", codebook)
    payload = bytearray(codec.encode(units(0, 1, 8)))
    payload[12:14] = (7).to_bytes(2, "little")
    with pytest.raises(BlobError, match="do not fit codebook"):
        decode_blob(seal(codec.codec_id, 1, 8, bytes(payload)), codebook)
    with pytest.raises(BlobError, match="do not fit codebook"):
        decode_blob(seal(codec.codec_id, 1, 7, bytes(codec.encode(units(0, 1, 8)))), codebook)


def test_centroid_ids_are_as_wide_as_the_codebook_needs() -> None:
    small = tiny_codebook(2)
    large = replace(small, centroids=np.ones((1 << 16 | 1, 2), np.float32), shares=np.zeros(1 << 16 | 1, np.float32))
    sizes = [codec_named("residual1", codebook).payload_size(10, 2) for codebook in (small, large)]
    assert sizes == [8 + 10 * (4 + 2 + 1), 8 + 10 * (4 + 4 + 1)]
    vectors = np.array([[1, 0], [0, -1]], np.float32)
    assert decode_blob(encode_blob(vectors, "residual1", large), large).shape == (2, 2)
