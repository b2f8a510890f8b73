"""Every codec obeys one contract; each blob that is not whole is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from opensearch_multivector.encoding.codecs import CODECS, decode_blob, encode_blob, open_blob
from opensearch_multivector.errors import BlobError, InputError

SHAPES = st.tuples(st.integers(0, 7), st.integers(1, 17))
VECTORS = hnp.arrays(np.float32, SHAPES, elements=st.floats(-1000, 1000, width=32))


def stated_error(name: str, vectors: np.ndarray) -> np.ndarray:
    """Largest absolute error per vector that the codec's own documentation allows, shape (count, 1)."""
    if vectors.size == 0:
        return np.zeros((len(vectors), 1))
    magnitude = np.abs(vectors).max(axis=1, keepdims=True)
    if name == "f32":
        return np.zeros_like(magnitude)
    if name == "f16":
        return np.maximum(magnitude * 2.0**-11, 2.0**-25)
    scale = (vectors.max(axis=1, keepdims=True) - vectors.min(axis=1, keepdims=True)) / 255
    return scale / 2 + magnitude * 2e-6 + 1e-30


@pytest.mark.parametrize("name", CODECS)
@given(vectors=VECTORS)
@settings(max_examples=150, deadline=None)
def test_round_trip_stays_within_the_stated_error(name: str, vectors: np.ndarray) -> None:
    decoded = decode_blob(encode_blob(vectors, name))
    assert decoded.shape == vectors.shape
    assert decoded.dtype == np.float32
    assert (np.abs(decoded.astype(np.float64) - vectors) <= stated_error(name, vectors)).all()


@pytest.mark.parametrize("name", CODECS)
@given(vectors=VECTORS, n_query=st.integers(1, 5), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_similarities_equal_those_of_the_decoded_vectors(
    name: str, vectors: np.ndarray, n_query: int, seed: int
) -> None:
    query = np.random.default_rng(seed).normal(size=(n_query, vectors.shape[1])).astype(np.float32)
    other = vectors[::-1] * np.float32(0.5)
    blobs = [open_blob(encode_blob(part, name))[1] for part in (vectors, other)]
    similarities = CODECS[name].similarities(
        [blob.payload for blob in blobs], [blob.count for blob in blobs], vectors.shape[1], query
    )
    decoded = np.concatenate([decode_blob(encode_blob(part, name)) for part in (vectors, other)])
    expected = decoded.astype(np.float64) @ query.T.astype(np.float64)
    # float32 sums of terms this large lose this much.
    tolerance = 1e-5 * (1 + np.abs(decoded).max(initial=0) * np.abs(query).sum())
    np.testing.assert_allclose(similarities, expected, atol=tolerance)


@pytest.mark.parametrize("name", CODECS)
def test_any_altered_byte_is_noticed(name: str) -> None:
    blob = encode_blob(np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32), name)
    for position in range(len(blob)):
        altered = bytearray(blob)
        altered[position] ^= 0x41
        with pytest.raises(BlobError):
            decode_blob(bytes(altered))


@pytest.mark.parametrize("name", CODECS)
def test_any_cut_is_noticed(name: str) -> None:
    blob = encode_blob(np.ones((2, 3), np.float32), name)
    for length in range(len(blob)):
        with pytest.raises(BlobError):
            decode_blob(blob[:length])


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BlobError):
        decode_blob(data)


def test_a_well_sealed_blob_of_the_wrong_size_is_refused() -> None:
    from opensearch_multivector.encoding.codecs.blob import seal

    with pytest.raises(BlobError, match="inconsistent"):
        decode_blob(seal(1, 1000, 1000, b"\0" * 16))
    with pytest.raises(BlobError, match="unknown codec id 99"):
        decode_blob(seal(99, 0, 1, b""))


def test_layout_is_what_the_documentation_says() -> None:
    blob = encode_blob(np.array([[1.0, -2.0]], np.float32), "f32")
    assert blob[:16].hex() == "4f534d56010100000100000002000000"
    assert blob[16:24] == np.array([1.0, -2.0], "<f4").tobytes()
    assert len(blob) == 28


def test_codec_ids_are_distinct() -> None:
    assert len({codec.codec_id for codec in CODECS.values()}) == len(CODECS)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(InputError, match="NaN or infinity"):
        encode_blob(np.array([[0.0, bad]], np.float32), "int8")


def test_wrong_shape_unknown_codec_and_overflow_say_what_to_do() -> None:
    with pytest.raises(InputError, match=r"shape \(count, dim\)"):
        encode_blob(np.ones(3, np.float32))
    with pytest.raises(InputError, match="choose one of f32, f16, int8"):
        encode_blob(np.ones((1, 1), np.float32), "int9")
    with pytest.raises(InputError, match="use codec f32"):
        encode_blob(np.full((1, 1), 1e6, np.float32), "f16")


def test_int8_holds_the_largest_floats() -> None:
    extremes = np.array([[-3e38, 3e38, 0.0]], np.float32)
    decoded = decode_blob(encode_blob(extremes, "int8"))
    assert np.isfinite(decoded).all()
    np.testing.assert_allclose(decoded, extremes, atol=6e38 / 255)
