"""What a query lacks is encoded from its text, what it brings is taken as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from opensearch_multivector.encoding.encoders.base import Encoded, IntArray, Kind, TokenTerms
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.query_encoder import QueryEncoder

READY = EncoderRef(READY_VECTORS, "none")
OWN = EncoderRef("letters", "1")


@dataclass
class Letters:
    """One vector and one term a letter; counts what it was asked for."""

    name: str = "letters"
    fingerprint: str = "1"
    dim: int = 26
    max_length: int = 99
    vocabulary: Sequence[str] = "abcdefghijklmnopqrstuvwxyz"
    asked: list[str] = field(default_factory=list)

    def encode(self, texts: Sequence[str], kind: Kind) -> list[Encoded]:
        self.asked += texts
        vectors = [np.eye(26, dtype=np.float32)[[ord(letter) - 97 for letter in text]] for text in texts]
        return [
            Encoded(rows, rows.mean(axis=0), self.offsets(text, kind))
            for text, rows in zip(texts, vectors, strict=True)
        ]

    def offsets(self, text: str, kind: Kind) -> IntArray:
        return np.array([(i, i + 1) for i in range(len(text))], np.int32)

    def encode_terms(self, texts: Sequence[str], kind: Kind) -> list[TokenTerms]:
        self.asked += texts
        ids = [np.array([[ord(letter) - 97] for letter in text], np.int32) for text in texts]
        return [TokenTerms(rows, np.ones(rows.shape, np.float32)) for rows in ids]


def encoder(letters: Letters, vectors: EncoderRef = OWN, terms: EncoderRef | None = OWN) -> QueryEncoder:
    spec = FieldSpec("mv", 26, "f32", vectors, terms=terms)
    return QueryEncoder(spec, letters if vectors is OWN else None, letters if terms is OWN else None)


EVERYTHING = frozenset({"text", "vectors", "pooled", "terms"})


def test_a_text_becomes_all_there_is_to_know() -> None:
    letters = Letters()
    (query,) = encoder(letters).encode(["abb"], EVERYTHING)
    assert query.text == "abb"
    assert query.vectors is not None
    assert query.vectors.argmax(axis=1).tolist() == [0, 1, 1]
    assert query.offsets is not None
    assert query.offsets.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert query.terms is not None
    assert query.terms.upper == {"b": 2.0, "a": 1.0}
    assert letters.asked == ["abb", "abb"]


def test_ready_terms_go_with_a_text_for_the_rest() -> None:
    letters = Letters()
    given = EncodedQuery(text="ab", terms=QueryTerms.ready({"z": 3}))
    plain, query = encoder(letters).encode(["c", given], EVERYTHING)
    assert query.terms is given.terms
    assert query.vectors is not None
    assert len(query.vectors) == 2
    assert plain.terms is not None
    assert plain.terms.upper == {"c": 1.0}
    assert letters.asked == ["c", "ab", "c"]


def test_ready_vectors_stay_and_only_the_pooled_one_is_made() -> None:
    vectors = np.full((3, 26), 0.1, np.float32)
    (query,) = encoder(Letters()).encode([EncodedQuery(text="ab", vectors=vectors)], frozenset({"vectors", "pooled"}))
    np.testing.assert_array_equal(query.vectors, vectors)
    assert query.offsets is None
    assert query.pooled is not None


def test_nothing_is_encoded_that_is_there_or_not_needed() -> None:
    letters = Letters()
    whole = EncodedQuery("ab", np.ones((1, 26), np.float32), np.ones(26, np.float32), QueryTerms.ready({"a": 1}))
    encoder(letters).encode([whole], EVERYTHING)
    encoder(letters).encode(["ab"], frozenset({"text"}))
    assert letters.asked == []


def test_who_lacks_an_encoder_is_told_what_to_bring() -> None:
    ready = encoder(Letters(), vectors=READY, terms=READY)
    for need, reason in (("vectors", "vectors that were brought"), ("terms", "terms that were brought")):
        with pytest.raises(InputError, match=reason):
            ready.encode(["ab"], frozenset({need}))
        with pytest.raises(InputError, match=f"needs the query's {need}, which the given EncodedQuery leaves out"):
            ready.encode([EncodedQuery(text="ab")], frozenset({need}))
    with pytest.raises(MismatchError, match="needs SLIM terms"):
        encoder(Letters(), terms=None).encode(["ab"], frozenset({"terms"}))
