"""Fixed dimensional encodings against the paper's definition, written out as loops in double precision."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding import draws, fde
from opensearch_multivector.encoding.fde import FixedDimensionalEncoding
from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.errors import InputError


def cluster(planes: np.ndarray, vector: np.ndarray) -> int:
    return sum(1 << bit for bit, plane in enumerate(planes) if float(np.dot(plane, vector)) > 0)


def naive_parts(encoding: FixedDimensionalEncoding, vectors: np.ndarray, kind: str) -> np.ndarray:
    """Section 2 of the paper, one repetition, one cluster and one vector at a time."""
    planes, projection = fde._matrices(encoding)
    parts = []
    for r in range(encoding.r_reps):
        hyperplanes = planes[:, r * encoding.k_sim : (r + 1) * encoding.k_sim].T
        s = np.eye(encoding.dim)
        if projection is not None:
            s = projection[:, r * encoding.projected : (r + 1) * encoding.projected].T.astype(np.float64)
        own = [cluster(hyperplanes, vector) for vector in vectors]
        for c in range(encoding.clusters):
            inside = [vector for vector, where in zip(vectors, own, strict=True) if where == c]
            if kind == "query":
                part = np.sum(inside, axis=0) / encoding.r_reps if inside else np.zeros(encoding.dim)
            elif inside:
                part = np.mean(inside, axis=0)
            elif len(vectors):
                part = vectors[min(range(len(vectors)), key=lambda j: (bin(own[j] ^ c).count("1"), j))]
            else:
                part = np.zeros(encoding.dim)
            if kind == "document" and encoding.center and len(vectors):
                part = part - np.mean(vectors, axis=0)
            parts.append(s @ part)
    return np.concatenate(parts)


def naive(encoding: FixedDimensionalEncoding, vectors: np.ndarray, kind: str) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    encoded = naive_parts(encoding, vectors, kind)
    if encoding.dim_final:
        buckets, signs = fde._sketch(encoding)
        sketch = np.zeros(encoding.dim_final)
        for value, bucket, sign in zip(encoded, buckets, signs, strict=True):
            sketch[bucket] += sign * value
        encoded = sketch
    if not encoding.center:
        return encoded
    if kind == "query":
        kept = vectors.sum(axis=0)
    else:
        kept = vectors.mean(axis=0) if len(vectors) else np.zeros(encoding.dim)
        if kept.any():
            kept = kept / np.linalg.norm(kept) * np.sqrt(np.mean([np.dot(v, v) for v in vectors]))
    return np.concatenate([kept, encoded])


encodings = st.builds(
    FixedDimensionalEncoding,
    dim=st.integers(1, 9),
    k_sim=st.integers(0, 4),
    dim_proj=st.integers(0, 10),
    r_reps=st.integers(1, 4),
    dim_final=st.sampled_from([0, 0, 5]),
    directions=st.sampled_from(fde.DIRECTIONS),
    center=st.booleans(),
    seed=st.integers(0, 2**32),
)


@settings(deadline=None, max_examples=80)
@given(encodings, st.integers(0, 10_000), st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_encodings_are_the_definition(encoding: FixedDimensionalEncoding, seed: int, counts: list[int]) -> None:
    vectors = np.random.default_rng(seed).normal(size=(sum(counts), encoding.dim)).astype(np.float32)
    encoded = encoding.documents(vectors, counts)
    assert encoded.shape == (len(counts), encoding.size)
    assert encoded.dtype == np.float32
    start = 0
    for row, count in zip(encoded, counts, strict=True):
        document = vectors[start : start + count]
        np.testing.assert_allclose(row, naive(encoding, document, "document"), atol=2e-4)
        np.testing.assert_allclose(encoding.query(document), naive(encoding, document, "query"), atol=2e-4)
        start += count


def test_a_worked_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """One hyperplane across the first axis: cluster 0 is left of it, cluster 1 right of it."""
    monkeypatch.setattr(fde, "_matrices", lambda _: (np.array([[1.0], [0.0]], np.float32), None))
    document = np.array([[0.8, 0.6], [0.6, 0.8], [-1.0, 0.0]], np.float32)
    query = np.array([[1.0, 0.0], [0.6, -0.8], [-0.6, 0.8]], np.float32)
    paper = FixedDimensionalEncoding(2, k_sim=1, dim_proj=0, r_reps=1, center=False)
    np.testing.assert_allclose(paper.query(query), [-0.6, 0.8, 1.6, -0.8], atol=1e-6)
    np.testing.assert_allclose(paper.documents(document, [3])[0], [-1.0, 0.0, 0.7, 0.7], atol=1e-6)
    # Nothing lies right of the plane: that cluster takes the first of its neighbours.
    np.testing.assert_allclose(paper.documents(-document[:2], [2])[0], [-0.7, -0.7, -0.8, -0.6], atol=1e-6)
    centred = FixedDimensionalEncoding(2, k_sim=1, dim_proj=0, r_reps=1)
    mean = np.array([0.4 / 3, 1.4 / 3])
    expected = [*(mean / np.linalg.norm(mean)), *([-1.0, 0.0] - mean), *([0.7, 0.7] - mean)]
    np.testing.assert_allclose(centred.documents(document, [3])[0], expected, atol=1e-6)
    np.testing.assert_allclose(centred.query(query), [1.0, 0.0, -0.6, 0.8, 1.6, -0.8], atol=1e-6)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("directions", fde.DIRECTIONS)
def test_inner_products_approximate_maxsim(directions: str, center: bool) -> None:
    rng = np.random.default_rng(5)
    topic = rng.normal(size=(40, 1, 64)) * 0.7
    documents = topic + rng.normal(size=(40, 30, 64))
    documents = (documents / np.linalg.norm(documents, axis=-1, keepdims=True)).astype(np.float32)
    encoding = FixedDimensionalEncoding(64, k_sim=4, dim_proj=32, r_reps=40, directions=directions, center=center)
    encoded = encoding.documents(documents.reshape(-1, 64), [30] * 40)
    query = documents[7, :8]
    exact = np.array([maxsim(query, document) for document in documents])
    approximate = encoded @ encoding.query(query)
    assert np.corrcoef(exact, approximate)[0, 1] > 0.95
    assert approximate.argmax() == 7


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from(fde.DIRECTIONS))
def test_a_document_of_one_vector_is_scored_exactly_when_centred(seed: int, directions: str) -> None:
    rng = np.random.default_rng(seed)
    query, document = rng.normal(size=(5, 24)).astype(np.float32), rng.normal(size=(1, 24)).astype(np.float32)
    encoding = FixedDimensionalEncoding(24, k_sim=3, dim_proj=4, r_reps=5, directions=directions)
    score = float(encoding.documents(document, [1])[0] @ encoding.query(query))
    assert score == pytest.approx(maxsim(query, document), rel=1e-4, abs=1e-4)


def test_empty_clusters_are_filled_even_where_all_but_one_are_empty() -> None:
    encoding = FixedDimensionalEncoding(8, k_sim=5, dim_proj=0, r_reps=3, center=False)
    vector = np.arange(1, 9, dtype=np.float32)[None]
    np.testing.assert_allclose(encoding.documents(vector, [1])[0].reshape(-1, 8), np.tile(vector, (3 * 32, 1)))


def test_documents_are_encoded_alike_alone_and_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    counts = [3, 0, 1, 40, 0, 7, 7, 0]
    vectors = rng.normal(size=(sum(counts), 32)).astype(np.float32)
    encoding = FixedDimensionalEncoding(32, k_sim=4, dim_proj=8, r_reps=6)
    together = encoding.documents(vectors, counts)
    ends = np.cumsum(counts)
    alone = [encoding.documents(vectors[e - c : e], [c])[0] for e, c in zip(ends, counts, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert not together[[1, 4, 7]].any()
    monkeypatch.setattr(fde, "_BLOCK_VALUES", 6 * 8 * 10)
    np.testing.assert_allclose(encoding.documents(vectors, counts), together, atol=1e-5)
    assert encoding.documents(vectors[:0], []).shape == (0, encoding.size)


@pytest.mark.parametrize(("center", "dim_final", "size"), [(True, 0, 4_992), (False, 0, 4_608), (True, 2_000, 2_384)])
def test_the_size_is_what_is_stored(center: bool, dim_final: int, size: int) -> None:
    assert FixedDimensionalEncoding(384, center=center, dim_final=dim_final).size == size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k_sim": 13}, "k_sim of an FDE must be from 0 to 12, it is 13"),
        ({"r_reps": 0}, "r_reps of an FDE must be from 1 up"),
        ({"dim_proj": -1}, "dim_proj"),
        ({"seed": -1}, "seed"),
        ({"directions": "sideways"}, "orthogonal or random"),
    ],
)
def test_values_that_make_no_sense(options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FixedDimensionalEncoding(8, **options)  # type: ignore[arg-type]


class TestDraws:
    """What is stored depends on these matrices: they may never change."""

    def test_they_are_those_of_the_first_release(self) -> None:
        digests = {
            name: hashlib.sha256(np.ascontiguousarray(values).astype("<f4").tobytes()).hexdigest()[:16]
            for name, values in {
                "gaussian": draws.gaussian((7, 5), 42, 0),
                "signs": draws.signs((7, 5), 42, 1),
                "orthogonal": draws.orthogonal(8, 20, 42, 1),
                "below": draws.below(11, 50, 42, 2),
                **{
                    f"{name} {directions}": matrix
                    for directions in fde.DIRECTIONS
                    for name, matrix in zip(
                        ("planes", "projection"),
                        fde._matrices(FixedDimensionalEncoding(8, 2, 3, 4, directions=directions)),
                        strict=True,
                    )
                },
                "sketch": fde._sketch(FixedDimensionalEncoding(8, 2, 3, 4, dim_final=9))[0],
                "sketch signs": fde._sketch(FixedDimensionalEncoding(8, 2, 3, 4, dim_final=9))[1],
            }.items()
            if values is not None
        }
        assert digests == {
            "gaussian": "f73ec8537d93dfd5",
            "signs": "31645598773702e8",
            "orthogonal": "79eaed30122d43be",
            "below": "481a6ab8a25cd10a",
            "planes orthogonal": "8f665c17a84999d9",
            "projection orthogonal": "3b809349b30aaf8c",
            "planes random": "67522f4026814004",
            "projection random": "91322c75e8c20e53",
            "sketch": "02ae0cd4102d19ec",
            "sketch signs": "2c497e4550a1b660",
        }

    def test_rotations_are_rotations(self) -> None:
        columns = draws.orthogonal(16, 40, 3, 0).astype(np.float64)
        for block in (columns[:, :16], columns[:, 16:32], columns[:, 32:]):
            np.testing.assert_allclose(block.T @ block, np.eye(block.shape[1]), atol=1e-5)

    def test_the_normal_numbers_are_normal(self) -> None:
        values = draws.gaussian((50_000,), 1, 0)
        assert abs(values.mean()) < 0.02
        assert abs(values.std() - 1) < 0.02
        assert abs((np.abs(values) < 1).mean() - 0.6827) < 0.01

    def test_seeds_and_streams_differ(self) -> None:
        drawn = [draws.signs((64,), seed, stream).tobytes() for seed in (1, 2) for stream in (0, 1)]
        assert len(set(drawn)) == 4
