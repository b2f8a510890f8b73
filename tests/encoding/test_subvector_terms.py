from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.code_terms import code_term, code_terms
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.subvector_terms import SubvectorCodebook, train_subvectors
from opensearch_multivector.errors import InputError, MismatchError

PARTS, SIZE, DIM = 4, 10, 24


def vectors(seed: int, count: int = 300) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def codebook() -> SubvectorCodebook:
    return train_subvectors(vectors(0), PARTS, SIZE)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_a_document_has_the_nearest_centroid_of_each_part(codebook: SubvectorCodebook, seed: int, count: int) -> None:
    documents = vectors(seed, count)
    ids = codebook.assign(documents)
    assert ids.shape == (count, PARTS)
    for row, terms in zip(documents.reshape(count, PARTS, DIM // PARTS), ids, strict=True):
        for part, term in enumerate(terms):
            distances = ((codebook.centroids[part] - row[part]) ** 2).sum(axis=1)
            assert distances[term - part * SIZE] == pytest.approx(distances.min(), abs=1e-4)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_with_all_centroids_asked_for_the_score_is_the_asymmetric_distance(
    codebook: SubvectorCodebook, seed: int
) -> None:
    query, documents = vectors(seed, 1)[0], vectors(seed + 1, 30)
    ids = codebook.assign(documents)
    terms, weights = codebook.weights(query, SIZE)
    by_term = dict(zip(terms.tolist(), weights.tolist(), strict=True))
    scores = np.array([sum(by_term.get(term, 0.0) for term in row) for row in ids.tolist()])
    quantised = codebook.centroids.reshape(PARTS * SIZE, -1)[ids].reshape(30, DIM)
    exact = quantised @ query
    # The same but for what all documents get.
    np.testing.assert_allclose(scores - scores[0], exact - exact[0], atol=1e-4)


@given(st.integers(0, 10_000), st.integers(1, SIZE))
def test_a_query_asks_for_the_best_of_each_part(codebook: SubvectorCodebook, seed: int, nprobe: int) -> None:
    query = vectors(seed, 1)[0]
    terms, weights = codebook.weights(query, nprobe)
    assert (weights > 0).all()
    products = np.einsum("pw,psw->ps", query.reshape(PARTS, -1), codebook.centroids)
    for part in range(PARTS):
        own = {int(term) - part * SIZE for term in terms if term // SIZE == part}
        assert own == set(np.argsort(-products[part])[: min(nprobe, SIZE - 1)].tolist())


def test_near_vectors_share_more_terms(codebook: SubvectorCodebook) -> None:
    documents = vectors(3, 200)
    noise = vectors(4, 200)
    ids = codebook.assign(documents)
    shared = [(codebook.assign(documents + scale * noise) == ids).mean() for scale in (0, 0.1, 0.5, 2)]
    assert shared[0] == 1
    assert shared == sorted(shared, reverse=True)


def test_arrays_come_back_and_the_id_is_of_the_content(codebook: SubvectorCodebook) -> None:
    again = SubvectorCodebook.from_arrays(codebook.arrays())
    assert again.id == codebook.id
    assert np.array_equal(again.centroids, codebook.centroids)
    assert SubvectorCodebook(codebook.centroids + np.float32(0.1)).id != codebook.id
    assert train_subvectors(vectors(0), PARTS, SIZE).id == codebook.id


def test_fewer_different_values_than_centroids() -> None:
    sample = np.repeat(vectors(1, 3), 10, axis=0)
    codebook = train_subvectors(sample, PARTS, SIZE)
    quantised = codebook.centroids.reshape(-1, DIM // PARTS)[codebook.assign(sample)].reshape(sample.shape)
    np.testing.assert_allclose(quantised, sample, atol=1e-5)


def test_bad_input_is_one_clear_sentence(codebook: SubvectorCodebook) -> None:
    with pytest.raises(InputError, match="5 equal parts"):
        train_subvectors(vectors(0), 5)
    with pytest.raises(InputError, match="nprobe"):
        codebook.weights(vectors(0)[0], 0)
    with pytest.raises(MismatchError, match="8 dimensions"):
        codebook.assign(np.ones((2, 8), np.float32))
    with pytest.raises(InputError, match="centroids"):
        SubvectorCodebook.from_arrays({})


@given(st.integers(0, 2**40))
def test_terms_are_base_32(number: int) -> None:
    assert int(code_term(number), 32) == number


def test_each_term_once() -> None:
    assert code_terms(np.array([33, 0, 33, 31])) == ["0", "v", "11"]
