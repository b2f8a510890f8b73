"""Stored token terms: what comes back, within the stated error, and the scores over them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding import term_blob
from opensearch_multivector.encoding.codecs import encode_blob, open_blob
from opensearch_multivector.encoding.encoders.base import TokenTerms
from opensearch_multivector.encoding.sparsify import slim_score
from opensearch_multivector.encoding.term_blob import encode_terms, open_terms, slim_scores
from opensearch_multivector.errors import BlobError, InputError


@st.composite
def token_terms(draw: st.DrawFn, ids: int = 300) -> TokenTerms:
    """As an encoder gives them: distinct ids per token, weights falling, zeros at the end."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    tokens, k = draw(st.integers(0, 6)), draw(st.integers(1, 6))
    weights = np.sort(rng.uniform(0.001, 4, size=(tokens, k)), axis=1)[:, ::-1] * (rng.random((tokens, 1)) < 0.9)
    weights[:, k - draw(st.integers(0, k)) :] = 0
    chosen = [rng.choice(ids, size=k, replace=False) for _ in range(tokens)]
    return TokenTerms(np.array(chosen, np.int32).reshape(tokens, k), weights.astype(np.float32))


def by_token(terms: TokenTerms) -> list[dict[int, float]]:
    return [
        {int(i): float(w) for i, w in zip(ids, weights, strict=True) if w > 0}
        for ids, weights in zip(terms.ids, terms.weights, strict=True)
    ]


def stored_by_token(blob: bytes) -> list[dict[int, float]]:
    stored = open_terms(blob)
    ends = np.cumsum(stored.lengths, dtype=int)
    return [
        dict(zip(stored.ids[end - n : end].tolist(), stored.weights[end - n : end].tolist(), strict=True))
        for end, n in zip(ends, stored.lengths, strict=True)
    ]


@settings(deadline=None)
@given(st.one_of(token_terms(), token_terms(ids=200_000)))
def test_half_precision_comes_back_within_its_error(terms: TokenTerms) -> None:
    for there, back in zip(by_token(terms), stored_by_token(encode_terms(terms)), strict=True):
        assert back == pytest.approx(there, rel=2**-11)


@settings(deadline=None)
@given(st.one_of(token_terms(), token_terms(ids=200_000)))
def test_single_precision_comes_back_exactly(terms: TokenTerms) -> None:
    assert stored_by_token(encode_terms(terms, "f32")) == by_token(terms)


@settings(deadline=None)
@given(st.one_of(token_terms(), token_terms(ids=200_000)))
def test_bytes_come_back_within_half_a_step(terms: TokenTerms) -> None:
    heaviest = float(terms.weights.max(initial=0))
    half = heaviest / 510 + heaviest * 2**-22  # and what float32 makes of it
    for there, back in zip(by_token(terms), stored_by_token(encode_terms(terms, "u8")), strict=True):
        assert {i for i, w in there.items() if w > half} <= back.keys() <= there.keys()
        for i, w in back.items():
            assert abs(w - there[i]) <= half


def test_sizes_are_what_the_module_says() -> None:
    terms = TokenTerms(np.arange(60, dtype=np.int32).reshape(3, 20), np.ones((3, 20), np.float32))
    wide = TokenTerms(terms.ids + 70_000, terms.weights)
    assert len(encode_terms(terms)) == 20 + 60 * 4 + 3
    assert len(encode_terms(terms, "u8")) == 20 + 60 * 3 + 4 + 3
    assert len(encode_terms(wide)) == 20 + 60 * 6 + 3
    assert len(encode_terms(terms, "f32")) == 20 + 60 * 6 + 3


@settings(deadline=None)
@given(token_terms(), st.lists(token_terms(), max_size=5), st.integers(1, 12))
def test_scores_of_blobs_are_the_scores_of_what_they_hold(
    query: TokenTerms, documents: list[TokenTerms], block: int
) -> None:
    halves = [TokenTerms(one.ids, one.weights.astype(np.float16).astype(np.float32)) for one in documents]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(term_blob, "_BLOCK_TERMS", block)
        scores, errors = slim_scores(query, [encode_terms(one) for one in documents])
    assert not errors
    assert scores.tolist() == [np.float32(slim_score(query, one)) for one in halves]


@given(st.data())
def test_broken_blobs_are_named_and_leave_the_others_alone(data: st.DataObject) -> None:
    terms = TokenTerms(np.array([[3, 5]], np.int32), np.array([[2, 1]], np.float32))
    blob = encode_terms(terms, data.draw(st.sampled_from(term_blob.WEIGHTS)))
    cut = blob[: data.draw(st.integers(0, len(blob) - 1))]
    altered = bytearray(blob)
    altered[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    scores, errors = slim_scores(terms, [cut, blob, bytes(altered), encode_blob(np.eye(2, dtype=np.float32), "f32")])
    assert errors.keys() == {0, 2, 3}
    assert np.isnan(scores[[0, 2, 3]]).all()
    assert scores[1] == pytest.approx(5, rel=0.01)
    with pytest.raises(BlobError, match="unknown codec id"):
        open_blob(blob)


def test_what_can_not_be_stored_is_refused() -> None:
    many = TokenTerms(np.arange(300, dtype=np.int32)[None], np.ones((1, 300), np.float32))
    with pytest.raises(InputError, match="300 terms, 255 can be stored"):
        encode_terms(many)
    for weight in (np.nan, np.inf, 70_000):
        with pytest.raises(InputError, match="not finite or above"):
            encode_terms(TokenTerms(np.zeros((1, 1), np.int32), np.full((1, 1), weight, np.float32)))
    assert encode_terms(TokenTerms(np.zeros((1, 1), np.int32), np.full((1, 1), 70_000, np.float32)), "f32")
    with pytest.raises(InputError, match="f16, f32, u8, not 'f8'"):
        encode_terms(many, "f8")
