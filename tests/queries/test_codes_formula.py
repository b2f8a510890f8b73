"""The stages over centroid terms, without a cluster: their clauses, evaluated here, against their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.encoding.centroid_interaction import probes
from opensearch_multivector.encoding.code_terms import code_terms
from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.encoding.codebook_training import train_codebook
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.kmeans import unit_rows
from opensearch_multivector.encoding.subvector_terms import train_subvectors
from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.sub_fields import SUB_FIELDS
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages.clauses import MAX_CLAUSES
from opensearch_multivector.queries.first_stages.codes import Codes
from opensearch_multivector.queries.first_stages.pq import Pq

DIM = 16
SEEDS = st.integers(0, 10_000)


def vectors(seed: int, count: int, towards: float = 0.3) -> FloatArray:
    return unit_rows((np.random.default_rng(seed).normal(size=(count, DIM)) + towards).astype(np.float32))


CODEBOOK = train_codebook(vectors(0, 800), 50, tokens_per_document=6.0)
SUBVECTORS = train_subvectors(vectors(1, 300), 4, 12)
SPEC = FieldSpec(
    "mv",
    DIM,
    "f32",
    EncoderRef(READY_VECTORS, "none"),
    sub_fields=(SUB_FIELDS["codes"](), SUB_FIELDS["pq"]()),
    state={"codebook": CODEBOOK, "subvectors": SUBVECTORS},
)


def evaluate(clause: dict[str, Any], terms: set[str]) -> float:
    """The score that OpenSearch's documentation promises for a document with these terms."""
    ((kind, body),) = clause.items()
    if kind == "term":
        ((_, inner),) = body.items()
        return float(inner["boost"]) if inner["value"] in terms else 0.0
    if kind == "dis_max":
        return max(evaluate(each, terms) for each in body["queries"])
    assert kind == "bool"
    return sum(evaluate(each, terms) for each in body["should"])


def leaves(clause: dict[str, Any]) -> list[dict[str, Any]]:
    if "term" in clause:
        return [clause]
    inner = clause["bool"]["should"] if "bool" in clause else clause["dis_max"]["queries"]
    return [leaf for each in inner for leaf in leaves(each)]


def naive_gains(codebook: Codebook, query: FloatArray, nprobe: int, missing: float) -> list[dict[int, float]]:
    """For each query token what each centroid is worth, straight from the definition."""
    gains: list[dict[int, float]] = []
    for token in query:
        similarities = codebook.centroids @ token
        order = np.argsort(-similarities, kind="stable")
        floor, held = -float(np.linalg.norm(token)), 0.0
        for place, centroid in enumerate(order):
            held += float(codebook.shares[centroid]) * codebook.tokens_per_document
            if place >= nprobe and held >= missing - 1e-6:
                floor = float(similarities[centroid])
                break
        gains.append({int(c): float(similarities[c]) - floor for c in order[:nprobe]})
    return gains


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(1, 9), st.integers(1, 60), st.sampled_from([0.25, 1.0, 2.5]))
def test_codes_scores_are_the_formula(seed: int, n_tokens: int, nprobe: int, missing: float) -> None:
    query = vectors(seed, n_tokens)
    gains = naive_gains(CODEBOOK, query, nprobe, missing)
    for merge in (False, True):
        stage = Codes(nprobe=nprobe, missing=missing, merge=merge)
        clause = stage.dsl(SPEC, EncodedQuery(vectors=query), 10, None)
        for document in range(5):
            ids = set(CODEBOOK.assign(vectors(document, 7)).tolist())
            of_token = [[token.get(centroid, 0.0) for centroid in ids] for token in gains]
            expected = sum(sum(won) if merge else max(won) for won in of_token)
            assert evaluate(clause, set(code_terms(ids))) == pytest.approx(expected, abs=1e-4)


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.integers(60, 500), st.booleans())
def test_a_long_query_keeps_the_greatest_gains_under_the_limit(seed: int, n_tokens: int, merge: bool) -> None:
    query = vectors(seed, n_tokens)
    clause = Codes(nprobe=30, missing=6.0, merge=merge).dsl(SPEC, EncodedQuery(vectors=query), 10, None)
    boosts = [leaf["term"]["mv.codes"]["boost"] for leaf in leaves(clause)]
    if merge:
        assert len(boosts) <= CODEBOOK.size
    else:
        _, gains = probes(CODEBOOK, query, 30, 6.0)
        assert len(boosts) == min(MAX_CLAUSES, int((gains > 0).sum()))
        assert sorted(boosts) == pytest.approx(sorted(gains[gains > 0].tolist())[-len(boosts) :])
    assert min(boosts) > 0


def test_the_more_tokens_are_missing_the_lower_the_floor() -> None:
    query = vectors(5, 6)
    few, many = (probes(CODEBOOK, query, 2, missing)[1] for missing in (0.5, 3.0))
    assert (few <= many).all()
    assert (few < many).any()
    assert (few > 0).all()


def test_a_codebook_of_one_centroid_still_finds_documents() -> None:
    one = train_codebook(np.ones((5, DIM), np.float32), 1)
    ids, gains = probes(one, vectors(0, 3), 16)
    assert ids.tolist() == [[0], [0], [0]]
    assert (gains > 0).all()


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(1, 20))
def test_pq_scores_are_the_formula(seed: int, nprobe: int) -> None:
    query = vectors(seed, 1)[0]
    clause = Pq(nprobe=nprobe).dsl(SPEC, EncodedQuery(pooled=query), 10, None)
    parts = query.reshape(4, -1)
    for document in vectors(seed + 1, 5):
        expected = 0.0
        for part, term in enumerate(SUBVECTORS.assign(document[None])[0]):
            products = SUBVECTORS.centroids[part] @ parts[part]
            floor = np.sort(products)[::-1][min(nprobe, 11)]
            expected += max(float(products[term - part * 12] - floor), 0.0)
        terms = set(code_terms(SUBVECTORS.assign(document[None])[0]))
        assert evaluate(clause, terms) == pytest.approx(expected, abs=1e-4)


def test_pq_asks_for_fewer_of_each_part_where_there_are_many() -> None:
    many = train_subvectors(vectors(1, 300), 16, 200)
    spec = FieldSpec("mv", DIM, "f32", EncoderRef(READY_VECTORS, "none"), state={"subvectors": many})
    clause = Pq(nprobe=150).dsl(spec, EncodedQuery(pooled=vectors(2, 1)[0]), 10, None)
    assert 16 < len(leaves(clause)) <= MAX_CLAUSES


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Codes(nprobe=0), "nprobe of first stage 'codes'"),
        (lambda: Codes(missing=0.0), "missing of first stage 'codes'"),
        (lambda: Codes(missing=float("nan")), "missing of first stage 'codes'"),
        (lambda: Pq(nprobe=-1), "nprobe of first stage 'pq'"),
        (lambda: SUB_FIELDS["codes"](centroids=-1), "centroids of sub-field 'codes'"),
        (lambda: SUB_FIELDS["pq"](parts=-1), "parts of sub-field 'pq'"),
        (lambda: SUB_FIELDS["pq"](parts=1000), "at most 512"),
        (lambda: probes(CODEBOOK, vectors(0, 1), 4, 0.0), "missing"),
    ],
)
def test_bad_parameters_are_one_clear_sentence(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
