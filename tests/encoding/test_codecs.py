"""Every codec obeys one contract; each blob that is not whole is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from opensearch_multivector.encoding.codecs import CODECS, codec_named, decode_blob, encode_blob, open_blob
from opensearch_multivector.encoding.codecs.blob import OVERHEAD, seal
from opensearch_multivector.encoding.codecs.rotation import rotation
from opensearch_multivector.errors import BlobError, InputError
from tests.encoding.tiny_codebooks import tiny_codebook

SHAPES = st.tuples(st.integers(0, 7), st.integers(1, 19))
VECTORS = st.sampled_from([1000, 1e-18, 1e18]).flatmap(
    lambda most: hnp.arrays(np.float32, SHAPES, elements=st.floats(-1, 1, width=32)).map(lambda x: x * np.float32(most))
)


def encoded(vectors: np.ndarray, name: str) -> bytes:
    return encode_blob(vectors, name, tiny_codebook(vectors.shape[1]))


def decoded(blob: bytes, dim: int) -> np.ndarray:
    return decode_blob(blob, tiny_codebook(dim))


def stated_error(name: str, vectors: np.ndarray) -> np.ndarray:
    """Largest absolute error per vector that the codec's own documentation allows, shape (count, 1)."""
    if vectors.size == 0:
        return np.zeros((len(vectors), 1))
    exact = vectors.astype(np.float64)
    magnitude = np.abs(exact).max(axis=1, keepdims=True)
    norm = np.linalg.norm(exact, axis=1, keepdims=True)
    if name == "f32":
        return np.zeros_like(magnitude)
    if name == "f16":
        return np.maximum(magnitude * 2.0**-11, 2.0**-25)
    if name == "bit":
        turned = np.abs(exact @ rotation(vectors.shape[1])).sum(axis=1, keepdims=True)
        cosine = np.where(norm > 0, turned / np.where(norm > 0, norm, 1) / np.sqrt(vectors.shape[1]), 1)
        return norm * np.sqrt(np.maximum(1 / cosine**2 - 1, 0)) + norm * 2e-3 + 1e-30
    if name.startswith("residual"):  # the direction may be any, the norm is kept
        return 2 * norm * (1 + 1e-5) + 1e-30
    levels = {"int8": 255, "int4": 15}[name]
    scale = (exact.max(axis=1, keepdims=True) - exact.min(axis=1, keepdims=True)) / levels
    return scale / 2 + magnitude * 2e-6 + 1e-30


@pytest.mark.parametrize("name", CODECS)
@given(vectors=VECTORS)
@settings(max_examples=150, deadline=None)
def test_round_trip_stays_within_the_stated_error(name: str, vectors: np.ndarray) -> None:
    if name == "f16":
        vectors = np.clip(vectors, -6e4, 6e4)
    back = decoded(encoded(vectors, name), vectors.shape[1])
    assert back.shape == vectors.shape
    assert back.dtype == np.float32
    assert (np.abs(back.astype(np.float64) - vectors) <= stated_error(name, vectors)).all()


@pytest.mark.parametrize("name", CODECS)
@given(vectors=VECTORS, n_query=st.integers(1, 5), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_similarities_equal_those_of_the_decoded_vectors(
    name: str, vectors: np.ndarray, n_query: int, seed: int
) -> None:
    if name == "f16":
        vectors = np.clip(vectors, -6e4, 6e4)
    dim = vectors.shape[1]
    query = np.random.default_rng(seed).normal(size=(n_query, dim)).astype(np.float32)
    blobs = [encoded(part, name) for part in (vectors, vectors[::-1] * np.float32(0.5), vectors[:1])]
    opened = [open_blob(blob, tiny_codebook(dim))[1] for blob in blobs]
    similarities = codec_named(name, tiny_codebook(dim)).similarities(
        [blob.payload for blob in opened], [blob.count for blob in opened], dim, query
    )
    back = np.concatenate([decoded(blob, dim) for blob in blobs])
    expected = back.astype(np.float64) @ query.T.astype(np.float64)
    # float32 sums of terms this large lose this much.
    norms = np.linalg.norm(back.astype(np.float64), axis=1)[:, None] * np.linalg.norm(query, axis=1)
    assert (np.abs(similarities - expected) <= 1e-5 * norms * np.sqrt(dim) + 1e-30).all()
    assert similarities.dtype == np.float32


@pytest.mark.parametrize("name", CODECS)
@given(count=st.integers(0, 9), dim=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_payloads_are_as_large_as_the_codec_says(name: str, count: int, dim: int) -> None:
    vectors = np.random.default_rng(dim).normal(size=(count, dim)).astype(np.float32)
    size = codec_named(name, tiny_codebook(dim)).payload_size(count, dim)
    assert len(encoded(vectors, name)) == size + OVERHEAD


@pytest.mark.parametrize("name", CODECS)
def test_vectors_of_zeros_come_back_as_zeros(name: str) -> None:
    vectors = np.array([[0, 0, 0, 0, 0], [1, -2, 3, 0, 1]], np.float32)
    assert not decoded(encoded(vectors, name), 5)[0].any()


@pytest.mark.parametrize("name", CODECS)
def test_any_altered_byte_is_noticed(name: str) -> None:
    blob = encoded(np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32), name)
    for position in range(len(blob)):
        altered = bytearray(blob)
        altered[position] ^= 0x41
        with pytest.raises(BlobError):
            decoded(bytes(altered), 4)


@pytest.mark.parametrize("name", CODECS)
def test_any_cut_is_noticed(name: str) -> None:
    blob = encoded(np.ones((2, 3), np.float32), name)
    for length in range(len(blob)):
        with pytest.raises(BlobError):
            decoded(blob[:length], 3)


@pytest.mark.parametrize("name", CODECS)
def test_a_well_sealed_blob_of_the_wrong_size_is_refused(name: str) -> None:
    codec = codec_named(name, tiny_codebook(4))
    payload = codec.encode(np.ones((3, 4), np.float32))
    flat = payload[: codec.payload_size(3, 0)]
    for count, dim, stored in [(1000, 4, payload), (3, 4, payload[:-1]), (3, 4, payload + b"\0"), (3, 0, flat)]:
        with pytest.raises(BlobError, match="inconsistent"):
            decoded(seal(codec.codec_id, count, dim, stored), 4)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BlobError):
        decode_blob(data)


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(BlobError, match="unknown codec id 99"):
        decode_blob(seal(99, 0, 1, b""))


def test_layout_is_what_the_documentation_says() -> None:
    blob = encode_blob(np.array([[1.0, -2.0]], np.float32), "f32")
    assert blob[:16].hex() == "4f534d56010100000100000002000000"
    assert blob[16:24] == np.array([1.0, -2.0], "<f4").tobytes()
    assert len(blob) == 28


def test_codec_ids_never_change() -> None:
    ids = {"f32": 1, "f16": 2, "int8": 3, "int4": 4, "bit": 5, "residual1": 6, "residual2": 7, "residual4": 8}
    assert {name: codec.codec_id for name, codec in CODECS.items()} == ids


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(name: str, bad: float) -> None:
    with pytest.raises(InputError, match="NaN or infinity"):
        encoded(np.array([[0.0, bad]], np.float32), name)


def test_wrong_shape_unknown_codec_and_overflow_say_what_to_do() -> None:
    for shape in [(3,), (3, 0), (1, 2, 3)]:
        with pytest.raises(InputError, match=r"shape \(count, dim\)"):
            encode_blob(np.ones(shape, np.float32))
    with pytest.raises(InputError, match="choose one of f32, f16, int8"):
        encode_blob(np.ones((1, 1), np.float32), "int9")
    with pytest.raises(InputError, match=r"exceed 65,504.*use codec f32"):
        encode_blob(np.full((1, 1), 1e6, np.float32), "f16")
    for name in ("bit", "residual2"):
        with pytest.raises(InputError, match=r"beyond float32.*use codec f32"):
            encoded(np.full((1, 3), 3e38, np.float32), name)
    largest = np.finfo(np.float32).max
    for name in ("int8", "int4"):
        with pytest.raises(InputError, match=r"range over more than float32.*use codec f32"):
            encoded(np.array([[largest, -largest]], np.float32), name)


@pytest.mark.parametrize(("name", "levels"), [("int8", 255), ("int4", 15)])
def test_scalar_codecs_hold_the_largest_floats(name: str, levels: int) -> None:
    extremes = np.array([[-3e38, 3e38, 0.0]], np.float32)
    back = decode_blob(encode_blob(extremes, name))
    assert np.isfinite(back).all()
    np.testing.assert_allclose(back, extremes, atol=6e38 / levels)
